"""HeldSessions: sessions that clients of plain HTTP hold by name, until they close them or forget about them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from runtime.server.errors import ApiError, Problem
from runtime.server.served_engine import ServedEngine, ServedSession
from runtime.server.sessions.limits import SessionLimits

__all__ = ["HeldSession", "HeldSessions"]

SWEEPS = 4
"""How often within `idle_seconds` is looked for idle sessions."""


class HeldSession:
    """A session and who uses it.

    Attributes:
        id: cannot be guessed. origin: the id of the session it is a fork of.
        owner: the tenant that opened it.
        num_users: requests that use it now. last_used: on the loop's clock.
        most_tokens: it has no more than so many; None where nobody knows.
        appending: held by whoever appends, so that what was counted is still so.
    """

    def __init__(self, name: str, session: ServedSession, origin: str | None, now: float, owner: str = "") -> None:
        self.id = name
        self.session = session
        self.origin = origin
        self.owner = owner
        self.num_users = 0
        self.last_used = now
        self.most_tokens: int | None = 0
        self.appending = asyncio.Lock()

    def grow(self, most: int | None) -> None:
        """It gets at most so many tokens more; None where nobody knows."""
        self.most_tokens = None if most is None or self.most_tokens is None else self.most_tokens + most


class HeldSessions:
    """Lives on the event loop.

    Args:
        engine: opens them.
        limits: how many, and how long they may be idle.
    """

    def __init__(self, engine: ServedEngine, limits: SessionLimits) -> None:
        self._engine = engine
        self._limits = limits
        self._held: dict[str, HeldSession] = {}
        self._clock: Callable[[], float] = lambda: asyncio.get_running_loop().time()

    def __len__(self) -> int:
        return len(self._held)

    def open(self, namespace: str, program: str, owner: str = "") -> HeldSession:
        """A new session.

        Raises:
            ApiError: too many are held (429).
        """
        self._check_room(1)
        return self._hold(self._engine.open(namespace=namespace, program=program), None, owner)

    def fork(self, held: HeldSession, n: int) -> list[HeldSession]:
        """New sessions that begin where one stands.

        Raises:
            ApiError: too many are held (429).
        """
        self._check_room(n)
        forks: Sequence[ServedSession] = held.session.fork(n)
        held.session.flush()
        found = [self._hold(fork, held.id, held.owner) for fork in forks]
        for one in found:
            one.most_tokens = held.most_tokens
        return found

    def find(self, name: str, owner: str = "") -> HeldSession:
        """The owner's session of that name.

        Raises:
            ApiError: there is none, or no more (404).
        """
        held = self._held.get(name)
        if held is None or held.owner != owner:
            message = f"there is no session {name[:64]!r}, or no more: one that nobody uses ends after a while"
            raise ApiError(Problem(404, message, "id", "session_not_found"))
        return held

    @contextmanager
    def used(self, name: str, owner: str = "") -> Iterator[HeldSession]:
        """The owner's session of that name, in use while the block runs.

        Raises:
            ApiError: there is none (404).
        """
        held = self.find(name, owner)
        held.num_users += 1
        try:
            yield held
        finally:
            held.num_users -= 1
            held.last_used = self._clock()

    def drop(self, held: HeldSession, *, cancels: bool = True) -> None:
        """The session ends: at once, or when what it was asked for is done."""
        if self._held.pop(held.id, None) is not None:
            if cancels:
                held.session.cancel()
            held.session.close()

    def expire(self) -> int:
        """Ends what nobody has used for too long; returns how many."""
        oldest = self._clock() - self._limits.idle_seconds
        idle = [held for held in self._held.values() if held.num_users == 0 and held.last_used <= oldest]
        for held in idle:
            self.drop(held)
        return len(idle)

    async def sweep(self) -> None:
        """Expires again and again, until it is cancelled."""
        while True:
            await asyncio.sleep(self._limits.idle_seconds / SWEEPS)
            self.expire()

    def close(self) -> None:
        """Ends all."""
        for held in list(self._held.values()):
            self.drop(held)

    def _check_room(self, n: int) -> None:
        most = self._limits.max_http_sessions
        if len(self._held) + n > most:
            message = f"max_http_sessions={most} sessions are held; close some, or try again later"
            raise ApiError(Problem(429, message, code="too_many_sessions", headers={"Retry-After": "1"}))

    def _hold(self, session: ServedSession, origin: str | None, owner: str) -> HeldSession:
        held = HeldSession(f"session-{secrets.token_urlsafe(18)}", session, origin, self._clock(), owner)
        self._held[held.id] = held
        return held
