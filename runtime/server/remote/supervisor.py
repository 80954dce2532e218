"""Supervisor: has an engine's process running, and starts another when it has ended or hangs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from runtime.errors import ConfigError, EngineClosed, EngineError
from runtime.handle import Handle
from runtime.server.remote.child import Child
from runtime.server.remote.messages import Broken, FromEngine, Ping, Pong, Started
from runtime.wire.errors import error_of

if TYPE_CHECKING:
    from runtime.constant_texts import ConstantTexts
    from runtime.server.remote.remote_core import RemoteCore

__all__ = ["Patience", "Supervisor"]

log = logging.getLogger("sgdsl.server")

LAST_SECONDS = 0.5
"""What a process said last has come so long after its end."""

LOOKS = 2.0
"""A look at the engine is due every `ping` seconds; whoever comes by later than so many times that was held up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long what may take, in seconds.

    Args:
        start: until an engine serves; loading a large model is most of it.
        hang: without a sign of life from the step loop while somebody waits for it. One step may take long.
        stop: for shutting down.
        ping: between two signs of life that are asked for.
        first_pause, longest_pause: before an engine that has ended soon is started again; each time twice as long.
        soon: one that has served for less than this has ended soon.
    """

    start: float = 600.0
    hang: float = 60.0
    stop: float = 20.0
    ping: float = 1.0
    first_pause: float = 0.5
    longest_pause: float = 30.0
    soon: float = 10.0

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                raise ConfigError(f"patience.{name}={value!r} is not allowed: a number of seconds above 0")

    def pause(self, quick: int) -> float:
        """Before the next start, when so many in a row have ended soon; the first time there is none."""
        return 0.0 if quick < 2 else min(self.longest_pause, self.first_pause * 2.0 ** min(quick - 2, 30))


class Supervisor:
    """Lives in a thread of its own, which starts every process.

    Args:
        settings: of the engine, flat.
        constants: texts whose tokens are known.
        patience: how long what may take.
    """

    def __init__(self, settings: Mapping[str, Any], constants: ConstantTexts, patience: Patience) -> None:
        self._settings = settings
        self._constants = constants
        self._patience = patience
        self._events: SimpleQueue[tuple[Child, FromEngine | None] | None] = SimpleQueue()
        self._child: Child | None = None
        self._stopping = False
        self._broken: Exception | None = None
        self._served_since: float | None = None
        self.started: Handle[Started] = Handle()
        self.failure: EngineClosed | None = EngineClosed("the engine is starting")
        self.num_restarts = 0
        self._thread = threading.Thread(target=self._run, name="sgdsl-supervisor", daemon=True)
        self._thread.start()

    @property
    def core(self) -> RemoteCore:
        """The inside of the engine that serves now.

        Raises:
            EngineClosed: none does.
        """
        child, failure = self._child, self.failure
        if failure is not None or child is None:
            raise EngineClosed(str(failure or "the engine was shut down"))
        return child.core

    @property
    def pid(self) -> int | None:
        """Of the process that runs now, whether it serves yet or not."""
        child = self._child
        return None if child is None else child.pid

    def halt(self) -> None:
        """Shuts the engine down, soon; takes no lock."""
        self._stopping = True
        self._events.put(None)

    def join(self) -> None:
        """Waits until nothing is left, after `halt`."""
        self._thread.join()

    # in the supervisor's thread

    def _run(self) -> None:
        quick = 0
        while not self._stopping:
            self._served_since = None
            reason = self._one_life()
            if self._stopping or not self.started.done() or self.started.error() is not None:
                break
            lasted = 0.0 if self._served_since is None else time.monotonic() - self._served_since
            quick = quick + 1 if lasted < self._patience.soon else 0
            pause = self._patience.pause(quick)
            self.num_restarts += 1
            again = f"it is tried again in {pause:g} s" if pause else "it is being started again"
            self.failure = EngineClosed(f"{reason}; {again}")
            log.error("%s", self.failure)
            self._pause(pause)
        self.failure = self.failure or EngineClosed("the engine was shut down")
        self.started.fail(EngineClosed("the engine was shut down"))

    def _one_life(self) -> str:
        """Starts a process and watches it to its end; returns what happened."""
        self._broken = None
        try:
            child = Child(self._settings, self._constants, lambda *event: self._events.put(event))
        except OSError as error:
            self.started.fail(EngineError(f"the engine's process cannot be started: {error}"))
            return f"the engine's process cannot be started: {error}"
        self._child = child
        reason = self._watch(child)
        self.failure = EngineClosed("the engine was shut down" if self._stopping else reason)
        self._child = None
        child.core.end(self.failure)
        child.clear_away()
        self.started.fail(self._broken or EngineError(reason))
        return reason

    def _watch(self, child: Child) -> str:
        watch = _Watch(self._patience, child)
        reason: str | None = None
        while True:
            event = self._event(self._patience.ping)
            if event is None:
                reason = reason or watch.look(self._stopping)
            elif event[0] is child and event[1] is None:
                if child.ended_by_itself and not self._stopping:  # it has said why, which may come a little later
                    self._told_last(child, watch)
                return reason or self._how_it_ended(child, watch)
            elif event[0] is child:
                self._told(event[1], watch)
                reason = reason or watch.look(self._stopping)

    def _event(self, seconds: float) -> tuple[Child, FromEngine | None] | None:
        try:
            return self._events.get(timeout=max(0.0, seconds))
        except Empty:
            return None

    def _told_last(self, child: Child, watch: _Watch) -> None:
        until = time.monotonic() + LAST_SECONDS
        while self._broken is None and (left := until - time.monotonic()) > 0:
            event = self._event(left)
            if event is not None and event[0] is child:
                self._told(event[1], watch)

    def _told(self, message: FromEngine | None, watch: _Watch) -> None:
        if isinstance(message, Started):
            watch.begin_pinging()
            self._served_since = time.monotonic()
            self.failure = None
            self.started.finish(message)
        elif isinstance(message, Broken):
            self._broken = error_of(message.problem)
            if isinstance(self._broken, ConfigError):
                self._broken.remedy = dict(message.remedy or {})
        elif isinstance(message, Pong):
            watch.is_pinged = False
            watch.child.hide()

    def _how_it_ended(self, child: Child, watch: _Watch) -> str:
        if self._broken is not None:
            what = "the engine died" if watch.has_started else "the engine cannot start"
            return f"{what}: {self._broken}"
        return f"the engine's process {child.ending}{'' if watch.has_started else ' before it served'}"

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._stopping and (left := until - time.monotonic()) > 0:
            self._event(left)


class _Watch:
    """What one process still has time for.

    Args:
        patience: how long what may take.
        child: the process.
    """

    def __init__(self, patience: Patience, child: Child) -> None:
        self._patience = patience
        self.child = child
        self._began = time.monotonic()
        self._stopped: float | None = None
        self._number = 0
        self._looked = self._began
        self._silence = 0.0
        self.has_started = False
        self.is_pinged = False

    def begin_pinging(self) -> None:
        """It serves. The first sign of life shows that it hears us too."""
        self.has_started = True
        self._ping()

    def look(self, stopping: bool) -> str | None:
        """Asks for signs of life; kills a process whose time is over and says why."""
        now = time.monotonic()
        looked, self._looked = self._looked, now
        if stopping:
            return self._see_off(now)
        if not self.has_started:
            if now - self._began > self._patience.start:
                return self._kill(f"the engine did not start within {self._patience.start:g} s")
        elif self.is_pinged:
            # Not the time on the clock: while this process was stopped itself, the engine may have been too.
            self._silence += min(now - looked, LOOKS * self._patience.ping)
            if self._silence > self._patience.hang:
                return self._kill(f"the engine's step loop gave no sign of life for {self._patience.hang:g} s")
        elif self.child.core.is_waited_for:
            self._ping()
        return None

    def _ping(self) -> None:
        self.is_pinged = True
        self._silence = 0.0
        self._number += 1
        self.child.say(Ping(self._number))

    def _see_off(self, now: float) -> str | None:
        if self._stopped is None:
            self._stopped = now
            if not self.has_started:
                return self._kill("the engine was shut down")
            self.child.stop()
        elif now - self._stopped > self._patience.stop:
            return self._kill(f"the engine did not shut down within {self._patience.stop:g} s")
        return None

    def _kill(self, why: str) -> str:
        log.error("%s: process %d is killed", why, self.child.pid)
        self.child.kill()
        return why
