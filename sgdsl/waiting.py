"""Waiting: for results, until a deadline, so that Ctrl-C always gets through to a blocked thread.

A signal that arrives between Python's last look and the wait itself wakes nobody, so no single wait is long.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from runtime.handle import Handle
from sgdsl.errors import InvalidArgument

__all__ = ["Deadline", "on_event_loop", "wait_for", "wait_for_async", "wait_for_event", "wait_for_future"]

SLICE_SECONDS = 0.25


class Deadline:
    """The time until which somebody waits, however many waits that takes.

    Args:
        timeout: seconds from now; None waits for ever.

    Raises:
        InvalidArgument: the timeout is no number of at least 0.
    """

    def __init__(self, timeout: float | None) -> None:
        is_number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
        if timeout is not None and not (is_number and timeout >= 0):
            raise InvalidArgument(f"timeout={timeout!r} is not allowed: a number of seconds of at least 0, or None")
        self._timeout = timeout
        self._time = None if timeout is None else time.monotonic() + timeout

    def remaining(self) -> float | None:
        """Seconds left, less than 0 when it has passed; None where there is no end."""
        return None if self._time is None else self._time - time.monotonic()

    def slice(self) -> float:
        """Seconds that a thread may wait at a stretch.

        Raises:
            TimeoutError: none are left.
        """
        remaining = self.remaining()
        if remaining is None:
            return SLICE_SECONDS
        if remaining <= 0:
            raise self._passed()
        return min(remaining, SLICE_SECONDS)

    @asynccontextmanager
    async def awaited(self) -> AsyncIterator[None]:
        """What is awaited inside ends by then.

        Raises:
            TimeoutError: it did not.
        """
        try:
            async with asyncio.timeout(self.remaining()):
                yield
        except TimeoutError as error:
            if type(error) is not TimeoutError:  # a program's own time was up
                raise
            raise self._passed() from None

    def _passed(self) -> TimeoutError:
        return TimeoutError(f"not there within timeout={self._timeout:g} s; the program goes on")


def on_event_loop() -> bool:
    """Whether this thread runs an event loop, which waiting here would block."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def wait_for(handle: Handle[Any], deadline: Deadline) -> None:
    """Waits until a handle has ended, well or badly.

    Raises:
        TimeoutError: not before the deadline.
    """
    while not handle.done():
        seconds = deadline.slice()
        with suppress(Exception):  # what it ended with is for whoever asks
            handle.result(seconds)


async def wait_for_async(handle: Handle[Any]) -> None:
    """Suspends until a handle has ended, well or badly."""
    with suppress(Exception):
        await handle


def wait_for_event(event: threading.Event, deadline: Deadline) -> None:
    """Waits until an event is set.

    Raises:
        TimeoutError: not before the deadline.
    """
    while not event.is_set():
        event.wait(deadline.slice())


def wait_for_future(future: concurrent.futures.Future[Any]) -> None:
    """Waits until a future has ended, well or badly."""
    while not future.done():
        concurrent.futures.wait([future], SLICE_SECONDS)
