"""SessionTable: every session the engine holds, and the KV each of them leans on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from runtime.errors import EngineError
from runtime.ledger import Owner
from runtime.memory.cache import PrefixCache
from runtime.memory.graft import Graft
from runtime.memory.sequence import SequenceKV
from runtime.session_state import SessionState

__all__ = ["SessionTable"]

CopySlots = Callable[[Sequence[tuple[int, int]]], None]
PutKV = Callable[[Sequence[int], object, int], None]


class SessionTable:
    """Opens, forks, swaps and closes sessions; makes idle ones give way when memory runs short.

    Args:
        cache: pages and prefixes.
        copy_slots: copies KV from slot to slot, for the tails of forks.
        put_kv: puts KV that was taken elsewhere into slots, from one of its tokens on.
    """

    def __init__(
        self, cache: PrefixCache, copy_slots: CopySlots, put_kv: PutKV = lambda slots, kv, first: None
    ) -> None:
        self._cache = cache
        self._copy_slots = copy_slots
        self._put_kv = put_kv
        self._next_key = -1
        self._sessions: set[SessionState] = set()
        self._ticks = 0

    def __iter__(self) -> Iterator[SessionState]:
        return iter(tuple(self._sessions))

    def __len__(self) -> int:
        return len(self._sessions)

    def take_up(self, session: SessionState) -> None:
        """Gives a new session its place."""
        session.sequence = self._cache.open(session.namespace)
        self._sessions.add(session)
        self.touch(session)

    def drop(self, session: SessionState) -> None:
        """Closes a session: its full pages stay in the tree, unlocked."""
        if session.is_closed:
            return
        session.is_closed = True
        self._sessions.discard(session)
        if session.sequence is not None:
            session.sequence.returns = session.returns
            self._cache.close(session.sequence, session.tokens)
            session.sequence.grafts = ()  # the user may hold the session for long; nobody needs their KV any more
        session.fail(session.cancelled())

    def fork(self, parent: SessionState, child: SessionState) -> None:
        """Gives `child` the parent's tokens and KV."""
        if child.sequence is None:
            self.take_up(child)
        child.adopt(parent.tokens, parent.origins)
        child.begin_here()
        if parent.sequence is not None:
            child.sequence, copies = self._cache.fork(parent.sequence, parent.tokens)
            self._copy_slots(copies)
        self.touch(child)

    def graft(self, session: SessionState, tokens: Sequence[int], origins: bytes, kv: object) -> None:
        """Appends tokens whose KV was computed elsewhere; it is put into the pool when the session runs next."""
        if session.sequence is None:
            raise EngineError("the session was never opened")
        start = len(session.tokens)
        graft = Graft(start, start + len(tokens), self._next_key, kv)
        self._next_key -= 1
        session.sequence.grafts += (graft,)
        session.take(tokens, origins)

    def restore(self, sequence: SequenceKV) -> bool:
        """Puts the KV of grafts where it belongs, if everything before them is there; False where nothing was put.

        The sequence has the pages for it.
        """
        before = sequence.kv_len
        while (graft := sequence.next_graft) is not None and graft.start <= sequence.kv_len:
            slots = sequence.slots(sequence.kv_len, graft.end, self._cache.page_size)
            self._put_kv(slots, graft.kv, sequence.kv_len - graft.start)
            sequence.kv_len = graft.end
        return sequence.kv_len > before

    def take_over(self, session: SessionState, branch: SessionState) -> None:
        """The session goes on as its branch; the branch gets what the session was, to be dropped."""
        tokens, origins = branch.tokens, branch.origins
        session.sequence, branch.sequence = branch.sequence, session.sequence
        branch.adopt(session.tokens, session.origins)
        session.adopt(tokens, origins)

    def touch(self, session: SessionState) -> None:
        """Marks the session as the last one used."""
        self._ticks += 1
        session.last_use = self._ticks

    def reclaim(self) -> bool:
        """The session idle for longest gives its hold up; its KV stays in the tree as long as there is room.

        Returns:
            False when no idle session holds anything.
        """
        idle = [s for s in self._sessions if s.sequence and s.sequence.pages and s.sequence.holder is Owner.SESSION]
        if not idle:
            return False
        session = min(idle, key=lambda s: s.last_use)
        if session.sequence is not None:
            session.sequence.returns = session.returns
            self._cache.release(session.sequence, session.tokens)
        return True

    def audit(self) -> None:
        """Compares every page's owner with who claims it.

        Raises:
            LedgerError: the accounting is off.
        """
        claims: dict[Owner, list[int]] = {Owner.REQUEST: [], Owner.SESSION: []}
        for session in self._sessions:
            if session.sequence is not None:
                claims[session.sequence.holder].extend(session.sequence.private_pages)
        claims[Owner.FREE] = list(self._cache.pool.free_pages())
        claims[Owner.TREE] = self._cache.tree.all_pages()
        self._cache.pool.ledger.check(claims)
        self._cache.tree.check()
