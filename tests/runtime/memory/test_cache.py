from __future__ import annotations

import pytest

from runtime.ledger import Owner
from runtime.memory.cache import PrefixCache
from runtime.memory.sequence import SequenceKV


def filled(cache: PrefixCache, tokens: list[int], namespace: str = "") -> SequenceKV:
    sequence = cache.open(namespace)
    cache.attach(sequence, tokens)
    assert cache.reserve(sequence, len(tokens))
    sequence.kv_len = len(tokens)
    return sequence


def test_at_least_one_token_is_left_to_run() -> None:
    cache = PrefixCache(8, 4)
    cache.release(filled(cache, list(range(8))), list(range(8)))
    again = cache.open()
    assert cache.match(again, list(range(8))) == 4
    cache.attach(again, list(range(8)))
    assert (again.kv_len, again.num_shared) == (4, 1)
    assert cache.match(again, list(range(5))) == 4


def test_attaching_locks_before_anything_is_counted() -> None:
    cache = PrefixCache(4, 4)
    cache.release(filled(cache, list(range(8))), list(range(8)))
    assert cache.num_available == 16
    sequence = cache.open()
    cache.attach(sequence, [*range(8), 9])
    assert cache.num_available == 8
    assert not cache.reserve(sequence, 20)
    assert cache.reserve(sequence, 16)
    assert cache.num_available == 0


def test_attaching_never_gives_up_more_than_it_finds() -> None:
    cache = PrefixCache(8, 4)
    other = filled(cache, [1, 2, 3, 4])
    cache.commit(other, [1, 2, 3, 4])
    sequence = filled(cache, [1, 2, 3, 4, 5, 6])
    pages = list(sequence.pages)
    cache.attach(sequence, [1, 2, 3, 4, 5, 6])
    assert (sequence.pages, sequence.kv_len) == (pages, 6)


def test_reserve_evicts_only_as_much_as_is_missing() -> None:
    cache = PrefixCache(4, 4)
    cache.release(filled(cache, [1] * 4), [1] * 4)
    cache.release(filled(cache, [2] * 4), [2] * 4)
    sequence = cache.open()
    assert cache.reserve(sequence, 12)
    assert cache.tree.num_evictable == 4
    assert cache.pages_missing(sequence, 13) == 1
    assert cache.pages_missing(sequence, 3) == 0


def test_a_commit_shares_what_another_computed_as_well() -> None:
    cache = PrefixCache(8, 4)
    first, second = cache.open(), cache.open()
    for sequence in (first, second):  # both compute the same page before either books it
        assert cache.reserve(sequence, 6)
        sequence.kv_len = 6
    cache.commit(first, [1, 2, 3, 4, 5, 6])
    cache.commit(second, [1, 2, 3, 4, 7, 8])
    assert first.pages[0] == second.pages[0]
    assert first.pages[1] != second.pages[1]
    assert cache.pool.num_free == 8 - 3
    assert first.node.num_locks == 2


def test_a_cut_inside_a_shared_page_gives_up_that_page() -> None:
    cache = PrefixCache(8, 4)
    tokens = list(range(11))
    sequence = filled(cache, tokens)
    cache.commit(sequence, tokens)
    cache.truncate(sequence, 9)
    assert (sequence.kv_len, sequence.num_shared, len(sequence.pages)) == (9, 2, 3)
    cache.truncate(sequence, 6)
    assert (sequence.kv_len, sequence.num_shared, len(sequence.pages)) == (4, 1, 1)
    cache.truncate(sequence, 0)
    assert (sequence.kv_len, sequence.pages) == (0, [])
    assert cache.tree.num_protected == 0
    assert cache.tree.match(tokens, 11).length == 8


def test_a_cut_beyond_what_is_computed_changes_nothing() -> None:
    cache = PrefixCache(8, 4)
    sequence = filled(cache, list(range(6)))
    cache.truncate(sequence, 7)
    assert (sequence.kv_len, len(sequence.pages)) == (6, 2)


def test_a_fork_without_room_for_its_tail_goes_without() -> None:
    cache = PrefixCache(2, 4)
    sequence = filled(cache, list(range(6)))
    child, copies = cache.fork(sequence, list(range(6)))
    assert (child.kv_len, child.num_shared, copies) == (4, 1, [])
    assert child.holder is Owner.SESSION


def test_hand_over_moves_private_pages_alone() -> None:
    cache = PrefixCache(8, 4)
    sequence = filled(cache, list(range(6)))
    cache.commit(sequence, list(range(6)))
    cache.hand_over(sequence, Owner.REQUEST)
    ledger = cache.pool.ledger
    assert (ledger.slots(Owner.TREE), ledger.slots(Owner.REQUEST), ledger.slots(Owner.SESSION)) == (4, 4, 0)
    cache.detach(sequence)
    assert (ledger.slots(Owner.REQUEST), sequence.kv_len, cache.tree.num_protected) == (0, 0, 0)


def bring(cache: PrefixCache, tokens: list[int], first: int, num_pages: int, namespace: str = "") -> list[int]:
    """The places of the pages that were filled, each into a page that is in transfer just then."""
    filled_places: list[int] = []

    def fill(place: int, page: int) -> None:
        assert page not in cache.pool.free_pages()
        assert cache.pool.ledger.slots(Owner.IN_TRANSFER) >= cache.page_size
        filled_places.append(place)

    count = cache.bring_in(tokens, namespace, first, num_pages, fill)
    assert count == len(filled_places)
    assert cache.pool.ledger.slots(Owner.IN_TRANSFER) == 0
    cache.tree.check()
    return filled_places


def test_what_is_brought_in_is_found_and_not_locked() -> None:
    cache, tokens = PrefixCache(8, 4), list(range(16))
    assert bring(cache, tokens, 0, 4) == [0, 1, 2, 3]
    assert (cache.tree.num_evictable, cache.tree.num_protected) == (16, 0)
    assert cache.match(cache.open(), [*tokens, 99]) == 16
    assert cache.match(cache.open("other"), [*tokens, 99]) == 0
    assert bring(cache, tokens, 0, 2, "other") == [0, 1]


def test_only_what_is_not_cached_meanwhile_is_brought_in() -> None:
    cache, tokens = PrefixCache(8, 4), list(range(16))
    cache.release(filled(cache, tokens[:8]), tokens[:8])
    assert bring(cache, tokens, 1, 3) == [1, 2]
    assert bring(cache, tokens, 1, 3) == []


def test_pages_that_nothing_cached_leads_to_any_more_stay_outside() -> None:
    cache, tokens = PrefixCache(8, 4), list(range(16))
    assert bring(cache, tokens, 1, 3) == []
    assert cache.pool.num_free == 8


def test_what_is_brought_in_evicts_others_but_not_what_stands_before_it() -> None:
    cache, tokens = PrefixCache(4, 4), list(range(24))
    cache.release(filled(cache, tokens[:4]), tokens[:4])
    cache.release(filled(cache, [50] * 8), [50] * 8)
    assert bring(cache, tokens, 1, 5) == [0, 1, 2]
    assert cache.match(cache.open(), tokens) == 16
    assert cache.match(cache.open(), [*[50] * 8, 1]) == 0


def test_where_everything_is_locked_nothing_is_brought_in() -> None:
    cache = PrefixCache(2, 4)
    held = filled(cache, list(range(8)))
    assert bring(cache, [9] * 8, 0, 2) == []
    cache.commit(held, list(range(8)))
    assert bring(cache, [9] * 8, 0, 2) == []


def test_a_page_that_cannot_be_filled_leaves_nothing_behind() -> None:
    cache, tokens = PrefixCache(8, 4), list(range(16))
    cache.release(filled(cache, tokens[:4]), tokens[:4])

    def fail(place: int, page: int) -> None:
        if place == 1:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cache.bring_in(tokens, "", 1, 3, fail)
    assert (cache.pool.num_free, cache.tree.num_evictable, cache.tree.num_protected) == (7, 4, 0)
    cache.tree.check()
