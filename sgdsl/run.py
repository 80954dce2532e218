"""Run: one execution of a program: its streams, its sampling defaults, its failure and its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runtime.handle import Handle
from sgdsl.chat import CHATML, Conversation
from sgdsl.errors import ProgramCancelled, ProgramError, ProgramTimeout
from sgdsl.outcome import Outcome
from sgdsl.sampling import Sampling
from sgdsl.source import raised_at
from sgdsl.stream import Stream
from sgdsl.usage import Usage
from sgdsl.waiting import wait_for

if TYPE_CHECKING:
    from sgdsl.backends.base import Backend, BackendSession
    from sgdsl.loop import Loop

__all__ = ["Run", "current_run"]

_current: ContextVar[Run | None] = ContextVar("sgdsl_run", default=None)


def current_run() -> Run | None:
    """The run whose program is executing here, if any."""
    return _current.get()


@dataclass(eq=False)
class Run:
    """One execution of a program on a backend. Its lock guards every stream of it.

    Attributes:
        name: the program's.
        is_async: reads may not block, because the program runs on somebody's event loop.
        recorded: number of recordings so far, for the loop to see who is idle.
        seen: failures somebody has been shown.
        task: what a streamed `async` program runs in; an event loop keeps only weak references to its tasks.
        nested: runs of programs called from this one; they end with it.
    """

    name: str
    backend: Backend
    loop: Loop
    sampling: Sampling = field(default_factory=Sampling)
    is_async: bool = False
    lock: threading.RLock = field(default_factory=threading.RLock)
    streams: list[Stream] = field(default_factory=list)
    nested: list[Run] = field(default_factory=list)
    seen: set[ProgramError] = field(default_factory=set)
    recorded: int = 0
    is_over: bool = False
    value: Any = None
    error: ProgramError | None = None
    own_usage: Usage = field(default_factory=Usage)
    task: object = None

    def __post_init__(self) -> None:
        conversation = Conversation(self.backend.chat_template or CHATML)
        self.streams.append(Stream(self, 0, conversation))

    @property
    def main(self) -> Stream:
        """The stream the program's function was given."""
        return self.streams[0]

    @contextmanager
    def entered(self) -> Iterator[None]:
        """While the program's function executes."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    def open_session(self) -> BackendSession:
        """The main stream's session."""
        return self.backend.open(program=self.name)

    def note_recorded(self) -> None:
        """Something was recorded: unless more follows, it is handed over within a millisecond or two."""
        self.recorded += 1
        self.loop.watch(self)

    def flush(self) -> None:
        """Hands everything recorded over, parents before their forks."""
        with self.lock:
            for stream in self.streams:
                if stream.queue:
                    stream.advance()

    def count(self, usage: Usage) -> None:
        """Adds finished calls to the usage."""
        with self.lock:
            self.own_usage += usage

    def usage(self) -> Usage:
        """The run's own usage and that of the programs it called."""
        return sum((run.usage() for run in list(self.nested)), self.own_usage)

    def adopt(self, run: Run) -> None:
        """A program called from this one runs as `run`, and ends with this one."""
        with self.lock:
            self.nested.append(run)

    def release(self, run: Run) -> None:
        """A run of a batch inside this one is over: what it used stays counted, everything else is let go."""
        with self.lock:
            self.nested.remove(run)
            self.own_usage += run.usage()

    def pending(self) -> list[Handle[Outcome]]:
        """Outcomes still in the making."""
        with self.lock:
            steps = [step for stream in self.streams for step in stream.unfinished]
            return [step.outcome for step in steps if step.outcome is not None]

    def settle(self, timeout: float | None = None) -> None:
        """Waits until everything recorded has ended, well or badly.

        Raises:
            TimeoutError: not within `timeout` seconds; the run goes on.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        self.flush()
        while pending := self.pending():
            wait_for(pending[-1], deadline)

    async def settled(self) -> None:
        """Suspends until everything recorded has ended, well or badly."""
        self.flush()
        while pending := self.pending():
            try:
                await pending[-1]
            except ProgramError:
                continue

    def conclude(self) -> None:
        """The program's function has returned and everything has settled: fails with what nobody has seen fail."""
        with self.lock:
            failures = [stream.error for stream in self.streams if stream.error is not None]
            self.error = next((failure for failure in failures if failure not in self.seen), self.main.error)
            unseen = self.error is not None and self.error not in self.seen
        if unseen and self.error is not None:
            raise self.error

    def abort(self, error: BaseException) -> None:
        """The program's function raised: everything it has running ends."""
        if isinstance(error, ProgramError):
            failure = error
        else:
            reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            failure = ProgramError(reason, raised_at(error.__traceback__))
            failure.__cause__ = error
        self.fail(failure)

    def fail(self, error: ProgramError) -> None:
        """Ends every stream of this run and of the programs it called."""
        if self.is_over:
            return
        self.error = self.error or error
        for stream in list(self.streams):
            stream.fail(error)
        for run in list(self.nested):
            run.fail(error)

    def cancel(self) -> None:
        """Ends the run on somebody's wish. Nothing happens when it is over."""
        self.fail(ProgramCancelled(f"{self.name} was cancelled"))

    def expire(self, timeout: float) -> None:
        """Ends the run because its time is up."""
        self.fail(ProgramTimeout(f"{self.name} took longer than timeout={timeout:g} s"))

    def close(self) -> None:
        """Gives up every session. What was read, and what can be read without a backend, stays."""
        with self.lock:
            self.is_over = True
            streams = list(self.streams)
        for stream in streams:
            stream.close()
            stream.log.close()
