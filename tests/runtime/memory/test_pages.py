from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import LedgerError
from runtime.ledger import Owner
from runtime.memory.pages import OutOfPages, PagePool


def test_the_padding_page_is_never_handed_out() -> None:
    pool = PagePool(5, 4)
    assert sorted(pool.allocate(5, Owner.REQUEST)) == [1, 2, 3, 4, 5]
    assert pool.num_free == 0


def test_too_many_pages_change_nothing() -> None:
    pool = PagePool(3, 1)
    pool.allocate(2, Owner.SESSION)
    with pytest.raises(OutOfPages, match="2 pages asked for, 1 free"):
        pool.allocate(2, Owner.SESSION)
    assert pool.num_free == 1
    pool.ledger.check({Owner.FREE: pool.free_pages()})


def test_what_was_given_back_last_is_used_first() -> None:
    pool = PagePool(8, 1)
    pages = pool.allocate(4, Owner.REQUEST)
    pool.release(pages, Owner.REQUEST)
    assert pool.allocate(4, Owner.REQUEST) == pages


def test_a_page_is_freed_once_and_by_its_owner() -> None:
    pool = PagePool(4, 1)
    pages = pool.allocate(2, Owner.REQUEST)
    with pytest.raises(LedgerError):
        pool.release(pages, Owner.SESSION)
    pool.release(pages, Owner.REQUEST)
    with pytest.raises(LedgerError):
        pool.release(pages, Owner.REQUEST)
    assert pool.num_free == 4
    pool.ledger.check({Owner.FREE: pool.free_pages()})


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6))))
def test_no_page_is_lost_or_doubled(steps: list[tuple[bool, int]]) -> None:
    pool, held = PagePool(10, 2), []
    for take, count in steps:
        if take and count <= pool.num_free:
            held += pool.allocate(count, Owner.REQUEST)
        elif not take:
            given_back, held = held[:count], held[count:]
            pool.release(given_back, Owner.REQUEST)
        assert sorted([*held, *pool.free_pages()]) == list(range(1, 11))
        pool.ledger.check({Owner.FREE: pool.free_pages(), Owner.REQUEST: held})
