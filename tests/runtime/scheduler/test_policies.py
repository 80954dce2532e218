from __future__ import annotations

from runtime.memory.cache import PrefixCache
from runtime.request import Request
from runtime.scheduler.policies import MATCHED_QUEUE_LIMIT, POLICIES, by_priority, fcfs, lpm


def _cached(cache: PrefixCache, tokens: list[int]) -> None:
    sequence = cache.open()
    assert cache.reserve(sequence, len(tokens))
    sequence.kv_len = len(tokens)
    cache.release(sequence, tokens)


def _request(cache: PrefixCache, tokens: list[int]) -> Request:
    return Request(tokens=tokens, sequence=cache.open(), prompt_len=len(tokens), max_length=len(tokens) + 1)


def test_fcfs_keeps_the_order_of_arrival() -> None:
    cache = PrefixCache(16, 4)
    _cached(cache, list(range(8)))
    waiting = [_request(cache, [9, 9]), _request(cache, [*range(8), 1]), _request(cache, [5])]
    assert fcfs(waiting, cache, 0) == waiting


def test_lpm_takes_the_longest_cached_prefix_first_and_else_the_order_of_arrival() -> None:
    cache = PrefixCache(16, 4)
    _cached(cache, list(range(8)))
    none, also_none = _request(cache, [9, 9]), _request(cache, [7])
    short, long = _request(cache, [0, 1, 2, 3, 9, 9]), _request(cache, [*range(8), 1])
    assert lpm([none, short, also_none, long], cache, 0) == [long, short, none, also_none]


def test_lpm_puts_retracted_requests_before_all() -> None:
    cache = PrefixCache(16, 4)
    _cached(cache, list(range(8)))
    long, retracted = _request(cache, [*range(8), 1]), _request(cache, [7])
    retracted.num_retractions = 1
    assert lpm([long, retracted], cache, 0) == [retracted, long]


def test_lpm_sees_that_the_tree_has_changed() -> None:
    cache = PrefixCache(16, 4)
    first, second = _request(cache, [9, 9]), _request(cache, [*range(8), 1])
    assert lpm([first, second], cache, 0) == [first, second]
    _cached(cache, list(range(8)))
    assert lpm([first, second], cache, 0) == [second, first]
    cache.tree.clear()
    assert lpm([first, second], cache, 0) == [first, second]


def test_lpm_keeps_the_order_of_arrival_in_long_queues() -> None:
    cache = PrefixCache(16, 4)
    _cached(cache, list(range(8)))
    waiting = [_request(cache, [50 + i]) for i in range(MATCHED_QUEUE_LIMIT)] + [_request(cache, [*range(8), 1])]
    assert lpm(waiting, cache, 0) == waiting


def test_an_order_neither_loses_nor_changes_the_queue() -> None:
    cache = PrefixCache(16, 4)
    waiting = [_request(cache, [i]) for i in range(5)]
    for order in POLICIES.values():
        before = list(waiting)
        assert sorted(map(id, order(waiting, cache, 0))) == sorted(map(id, before))
        assert waiting == before


def test_higher_priorities_come_first_and_equals_keep_the_policys_order() -> None:
    cache = PrefixCache(16, 4)
    low, high, also_low, also_high = (_request(cache, [i]) for i in range(4))
    high.priority = also_high.priority = 10**9
    low.priority = also_low.priority = -2
    assert by_priority([low, high, also_low, also_high], False) == [high, also_high, low, also_low]
    low.turn = high.turn = also_high.turn = 3
    assert by_priority([low, high, also_low, also_high], True) == [also_low, high, also_high, low]
