"""Log: a list that only grows, followed by any number of readers in threads and coroutines."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Generic, TypeVar

from sgdsl.waiting import Deadline, wait_for_event

__all__ = ["Log"]

T = TypeVar("T")


class Log(Generic[T]):
    """Entries in order, until it is closed. Appending never blocks; readers begin at the first entry."""

    def __init__(self, entries: tuple[T, ...] = ()) -> None:
        self._entries = list(entries)
        self._closed = False
        self._lock = threading.Lock()
        self._wakers: list[Callable[[], None]] = []

    def append(self, entry: T) -> None:
        """One more entry."""
        with self._lock:
            self._entries.append(entry)
            if self._wakers:
                self._wake()

    def close(self) -> None:
        """No more entries: readers end after the last one."""
        with self._lock:
            self._closed = True
            self._wake()

    def _wake(self) -> None:
        wakers, self._wakers = self._wakers, []
        for waker in wakers:
            waker()

    def snapshot(self) -> tuple[T, ...]:
        """The entries so far."""
        with self._lock:
            return tuple(self._entries)

    def follow(self, deadline: Deadline) -> Iterator[T]:
        """The entries from the first on, waiting for more until the log is closed.

        Raises:
            TimeoutError: not closed before the deadline.
        """
        position = 0
        while True:
            grown = threading.Event()
            with self._lock:
                entries = self._entries[position:]
                if not entries and self._closed:
                    return
                if not entries:
                    self._wakers.append(grown.set)
            if not entries:
                wait_for_event(grown, deadline)
            position += len(entries)
            yield from entries

    async def __aiter__(self) -> AsyncIterator[T]:
        loop = asyncio.get_running_loop()
        position = 0
        while True:
            grown = asyncio.Event()
            with self._lock:
                entries = self._entries[position:]
                if not entries and self._closed:
                    return
                if not entries:
                    self._wakers.append(lambda event=grown: _set(loop, event))  # type: ignore[misc]
            if not entries:
                await grown.wait()
            position += len(entries)
            for entry in entries:
                yield entry


def _set(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(event.set)
