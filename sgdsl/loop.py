"""Loop: the one thread that settles what backends deliver, flushes idle scripts and watches the clock."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol

__all__ = ["Loop", "Timer"]

IDLE_SECONDS = 0.001
_log = logging.getLogger("sgdsl.loop")


class Flushable(Protocol):
    """Something that records instructions."""

    recorded: int

    def flush(self) -> None:
        """Hands over what was recorded."""


class Timer:
    """A call in the future that can be called off."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call: Callable[[], None] | None = call

    def cancel(self) -> None:
        """Calls it off, from any thread; nothing happens when it is over."""
        self._call = None

    def ring(self) -> None:
        """Its time has come."""
        call, self._call = self._call, None
        if call is not None:
            call()


class Loop:
    """An event loop in a daemon thread. Everything it runs is quick.

    Of users' code, nothing runs here but what their types and choices methods make of a text that has ended.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._inbox: deque[Callable[[], None]] = deque()
        self._woken = False
        self._idle: dict[Flushable, int] = {}
        self._sweeping = False
        self._lock = threading.Lock()
        self.on_error: Callable[[BaseException], object] = _log.exception
        threading.Thread(target=self._loop.run_forever, name="sgdsl-loop", daemon=True).start()

    def post(self, call: Callable[[], None]) -> None:
        """Runs `call` on the loop, soon. Many posts in a row wake it once."""
        self._inbox.append(call)
        if not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._drain)

    def _drain(self) -> None:
        self._woken = False
        while self._inbox:
            self._call(self._inbox.popleft())

    def _call(self, call: Callable[[], None]) -> None:
        """An error here is a bug of ours; it is reported, and the loop goes on for everybody else."""
        try:
            call()
        except BaseException as error:
            self.on_error(error)

    def later(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Runs `call` on the loop after `seconds`, unless the timer is cancelled."""
        timer = Timer(call)

        def start() -> None:
            self._loop.call_later(seconds, self._call, timer.ring)

        self.post(start)
        return timer

    def watch(self, flushable: Flushable) -> None:
        """Flushes it once it has recorded nothing for a millisecond."""
        with self._lock:
            self._idle.setdefault(flushable, -1)
            start, self._sweeping = not self._sweeping, True
        if start:
            self.post(self._sweep_later)

    def _sweep_later(self) -> None:
        self._loop.call_later(IDLE_SECONDS, self._sweep)

    def _sweep(self) -> None:
        with self._lock:
            ripe = [flushable for flushable, seen in self._idle.items() if flushable.recorded == seen]
            for flushable in ripe:
                del self._idle[flushable]
            for flushable in self._idle:
                self._idle[flushable] = flushable.recorded
            self._sweeping = bool(self._idle)
        if self._sweeping:
            self._sweep_later()
        for flushable in ripe:
            self._call(flushable.flush)
