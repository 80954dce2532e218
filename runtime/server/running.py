"""Running: what the server is working on, so that it can be counted, cancelled by name and waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from runtime.server.errors import CLIENT_CLOSED, ApiError, Problem, problem_of

__all__ = ["Running"]

CANCEL_SECONDS = 5.0
"""For telling clients that their requests were cancelled."""
STOPPING = Problem(503, "the server is stopping", code="stopping", headers={"Retry-After": "5"})


class Running:
    """The requests in work. Lives on the event loop, and is used from nowhere else.

    Args:
        most: requests at once.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._cancels: dict[object, tuple[str, str, Callable[[], None]]] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self.is_draining = False
        self._was_cut = False

    def __len__(self) -> int:
        return len(self._cancels)

    def check_open(self) -> None:
        """Whether anybody new is let in.

        Raises:
            ApiError: the server is stopping (503).
        """
        if self.is_draining:
            raise ApiError(STOPPING)

    @contextmanager
    def entered(self, rid: str, cancel: Callable[[], None], owner: str = "") -> Iterator[None]:
        """Counts a request while the block runs.

        Args:
            rid: the name it can be cancelled by; several may have the same.
            cancel: ends it at once.
            owner: whose it is.

        Raises:
            ApiError: the server is stopping (503), or too many requests run (429).
        """
        self.check_open()
        if len(self._cancels) >= self._most:
            message = f"max_requests={self._most} requests are in work; try again later"
            raise ApiError(Problem(429, message, code="too_many_requests", headers={"Retry-After": "1"}))
        key = object()
        self._cancels[key] = (rid, owner, cancel)
        self._idle.clear()
        try:
            yield
        finally:
            del self._cancels[key]
            if not self._cancels:
                self._idle.set()

    def cancel(self, rid: str | None = None, owner: str | None = None) -> int:
        """Cancels the requests of that name, or all, of that owner, or of all; returns how many that were."""
        found = [
            cancel for name, whose, cancel in self._cancels.values() if rid in (None, name) and owner in (None, whose)
        ]
        for cancel in found:
            cancel()
        return len(found)

    def told(self, error: BaseException) -> Problem:
        """How an exception is told to the client: who was cut short by the server's end may come again."""
        problem = problem_of(error)
        return STOPPING if self._was_cut and problem.status == CLIENT_CLOSED else problem

    async def drain(self, seconds: float, hurry: asyncio.Event | None = None) -> int:
        """Lets nobody in any more and waits for those inside; after so many seconds they are cancelled.

        Args:
            hurry: they are cancelled once it is set, too.

        Returns:
            How many had to be cancelled.
        """
        self.is_draining = True
        if await self._is_idle_within(seconds, hurry):
            return 0
        self._was_cut = True
        cancelled = self.cancel()
        await self._is_idle_within(CANCEL_SECONDS)
        return cancelled

    async def _is_idle_within(self, seconds: float, hurry: asyncio.Event | None = None) -> bool:
        waiting = [asyncio.ensure_future(event.wait()) for event in (self._idle, hurry) if event is not None]
        try:
            await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()
        return self._idle.is_set()
