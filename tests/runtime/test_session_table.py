from __future__ import annotations

from collections.abc import Sequence

import pytest

from runtime.errors import LedgerError, RequestCancelled
from runtime.ledger import Owner
from runtime.memory.cache import PrefixCache
from runtime.session_state import SessionState
from runtime.session_table import SessionTable


class World:
    def __init__(self, num_pages: int = 8, page_size: int = 4) -> None:
        self.copies: list[tuple[int, int]] = []
        self.cache = PrefixCache(num_pages, page_size)
        self.table = SessionTable(self.cache, self._copy)

    def _copy(self, pairs: Sequence[tuple[int, int]]) -> None:
        self.copies.extend(pairs)

    def session(self, num_tokens: int, first: int = 0) -> SessionState:
        session = SessionState("", "")
        self.table.take_up(session)
        session.extend(range(first, first + num_tokens))
        assert session.sequence is not None
        assert self.cache.reserve(session.sequence, num_tokens)
        session.sequence.kv_len = num_tokens
        return session


def test_a_fork_shares_full_pages_and_copies_the_tail() -> None:
    world = World()
    parent, child = world.session(10), SessionState("", "")
    parent.add(99, "generated")
    world.table.fork(parent, child)
    assert child.tokens == parent.tokens
    assert child.tokens is not parent.tokens
    assert child.origins == parent.origins
    assert child.sequence is not None
    assert parent.sequence is not None
    assert child.sequence.pages[:2] == parent.sequence.pages[:2]
    assert child.sequence.pages[2] != parent.sequence.pages[2]
    source, target = parent.sequence.pages[2] * 4, child.sequence.pages[2] * 4
    assert world.copies == [(source, target), (source + 1, target + 1)]
    assert child.sequence.kv_len == 10
    world.table.audit()


def test_drop_keeps_full_pages_in_the_tree_unlocked() -> None:
    world = World()
    session = world.session(10)
    world.table.drop(session)
    world.table.drop(session)  # once more changes nothing
    assert session.is_closed
    assert isinstance(session.error, RequestCancelled)
    assert len(world.table) == 0
    assert world.cache.tree.num_evictable == 8
    assert world.cache.pool.num_free == 6
    world.table.audit()


def test_reclaim_takes_the_one_idle_longest_and_never_a_running_one() -> None:
    world = World(num_pages=12)
    first, second, running = world.session(8), world.session(8, 50), world.session(8, 90)
    assert running.sequence is not None
    world.cache.hand_over(running.sequence, Owner.REQUEST)
    world.table.touch(first)
    assert world.table.reclaim()
    assert second.sequence is not None
    assert first.sequence is not None
    assert second.sequence.pages == []
    assert first.sequence.kv_len == 8
    assert second.tokens == list(range(50, 58))
    assert world.table.reclaim()
    assert not world.table.reclaim()
    assert running.sequence.kv_len == 8
    world.table.audit()


def test_take_over_swaps_what_session_and_branch_are() -> None:
    world = World()
    session, branch = world.session(5), SessionState("", "")
    world.table.fork(session, branch)
    branch.add(77, "generated")
    own, theirs = session.sequence, branch.sequence
    world.table.take_over(session, branch)
    assert session.tokens == [*range(5), 77]
    assert session.origins == bytes([0] * 5 + [1])
    assert (session.sequence, branch.sequence) == (theirs, own)
    assert branch.tokens == list(range(5))
    world.table.drop(branch)
    world.table.audit()


def test_audit_finds_a_page_nobody_claims() -> None:
    world = World()
    session = world.session(10)
    assert session.sequence is not None
    session.sequence.pages.pop()
    with pytest.raises(LedgerError, match="SESSION claims 2 pages, booked 3"):
        world.table.audit()
