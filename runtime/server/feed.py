"""Feed: what several results add, as it comes, for one coroutine."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from runtime.handle import Chunk, Generation, Handle

__all__ = ["Arrival", "Feed"]

Arrival: TypeAlias = "tuple[int, Chunk | None]"
"""Which of the results, and its next chunk; None when it has ended."""


class Feed:
    """Gathers chunks from the engine's thread and hands them over in one go, so that a busy loop wakes up once."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._arrived: deque[Arrival] = deque()
        self._is_woken = False
        self._wake = asyncio.Event()

    def follow(self, place: int, handle: Handle[Generation]) -> None:
        """Begins to listen to a result."""
        handle.subscribe(partial(self._put, place))

    def _put(self, place: int, chunk: Chunk | None) -> None:
        self._arrived.append((place, chunk))
        if not self._is_woken:
            self._is_woken = True
            with suppress(RuntimeError):  # the loop was closed: nobody listens any more
                self._loop.call_soon_threadsafe(self._wake.set)

    async def next(self) -> list[Arrival]:
        """Waits until something has come; returns all of it."""
        while not self._arrived:
            await self._wake.wait()
            self._wake.clear()
            self._is_woken = False
        return [self._arrived.popleft() for _ in range(len(self._arrived))]
