"""Run: one execution of a program: its streams, its sampling defaults, its failure and its end."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from runtime.handle import Handle
from sgdsl.account import Account, accounts
from sgdsl.chat import CHATML, Conversation
from sgdsl.errors import ProgramCancelled, ProgramError, ProgramTimeout
from sgdsl.outcome import Outcome
from sgdsl.sampling import Sampling
from sgdsl.source import raised_at
from sgdsl.stream import Stream
from sgdsl.usage import Usage
from sgdsl.waiting import Deadline, wait_for

if TYPE_CHECKING:
    import asyncio

    from sgdsl.backends.base import Backend, BackendSession, SpeculativeSession
    from sgdsl.loop import Loop, Timer
    from sgdsl.program import Program
    from sgdsl.record.recording import Recording
    from sgdsl.state import ProgramState

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
        num_api_spec_tokens: tokens to write ahead on backends that are asked for text.
        on_worker: one of the process's worker threads executes this run or waits for it, so what it calls may not
            wait for another one.
        streams: by index; dropped forks that have nothing left to do are let go.
        num_streams: streams ever made.
        ready: streams with something to hand over.
        lost: failures of streams that were let go, by the stream's index.
        recorded: number of recordings so far, for the loop to see who is idle.
        seen: failures somebody has been shown.
        task: what a streamed `async` program runs in; an event loop keeps only weak references to its tasks.
        outer: the run this one was called from, as long as it is one of its `nested`.
        nested: runs of programs called from this one that are not over; they end with it.
        recording: its part of a record, where one is kept.
        accounts: those that what it costs is added to.
        timer: ends it when its time is up.
    """

    name: str
    backend: Backend
    loop: Loop
    sampling: Sampling = field(default_factory=Sampling)
    is_async: bool = False
    num_api_spec_tokens: int | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)
    on_worker: bool = False
    streams: dict[int, Stream] = field(default_factory=dict)
    num_streams: int = 0
    ready: dict[Stream, None] = field(default_factory=dict)
    lost: dict[int, ProgramError] = field(default_factory=dict)
    outer: Run | None = None
    nested: dict[Run, None] = field(default_factory=dict)
    seen: set[ProgramError] = field(default_factory=set)
    recorded: int = 0
    is_over: bool = False
    value: Any = None
    error: ProgramError | None = None
    own_usage: Usage = field(default_factory=Usage)
    task: asyncio.Task[ProgramState] | None = None
    recording: Recording | None = None
    accounts: frozenset[Account] = field(default_factory=accounts)
    timer: Timer | None = None

    def __post_init__(self) -> None:
        conversation = Conversation(self.backend.chat_template or CHATML)
        self.add([self.new_stream(0, conversation)])

    def new_stream(self, index: int, conversation: Conversation) -> Stream:
        """A stream of this run, not yet one of its `streams`."""
        return Stream(self, index, conversation)

    @property
    def main(self) -> Stream:
        """The stream the program's function was given."""
        return self.streams[0]

    @contextmanager
    def entered(self) -> Iterator[None]:
        """While the program's function executes."""
        token = _current.set(self)
        try:
            with self._around():
                yield
        finally:
            _current.reset(token)

    def _around(self) -> AbstractContextManager[None]:
        return nullcontext() if self.recording is None else self.recording.around()

    def open_session(self) -> BackendSession:
        """The main stream's session."""
        with self._around():
            session = self.backend.open(program=self.name)
        if self.num_api_spec_tokens is not None and self.backend.capabilities.speculation:
            cast("SpeculativeSession", session).speculate(self.num_api_spec_tokens)
        return session

    def add(self, streams: Sequence[Stream]) -> None:
        """More streams, with the indices from `num_streams` on."""
        self.streams.update((stream.index, stream) for stream in streams)
        self.num_streams += len(streams)

    def let_go(self, stream: Stream) -> None:
        """A fork that nobody can read or extend is closed: only its failure, if nobody has seen it, is kept."""
        with self.lock:
            self.streams.pop(stream.index, None)
            self.ready.pop(stream, None)
            if stream.error is not None and stream.error not in self.seen:
                self.lost[stream.index] = stream.error

    def note_recorded(self, stream: Stream) -> None:
        """A stream recorded something: unless more follows, it is handed over within a millisecond or two."""
        self.ready[stream] = None
        self.recorded += 1
        self.loop.watch(self)

    def flush(self) -> None:
        """Hands everything recorded over, parents before their forks."""
        with self.lock:
            for stream in sorted(self.ready, key=lambda stream: stream.index):
                stream.advance()
                if not stream.queue:
                    self.ready.pop(stream, None)

    def count(self, usage: Usage) -> None:
        """Adds finished calls to the usage."""
        with self.lock:
            self.own_usage += usage
        for account in self.accounts:
            account.add(self.name, usage)

    def usage(self) -> Usage:
        """The run's own usage and that of the programs it called."""
        with self.lock:
            return sum((run.usage() for run in self.nested), self.own_usage)

    def lend(self, name: str) -> Backend:
        """The backend, for a program of that name that is run from inside this one."""
        return self.backend

    def call(self, program: Program, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Runs another program on this run's backend and gives what its function returns, awaited in an `async` one."""
        if self.is_async:
            return _value_of(program.arun(*args, **kwargs))
        return program.run(*args, **kwargs).ret_value

    def adopt(self, run: Run) -> None:
        """A program called from this one runs as `run`, and ends with this one: at once if this one has ended."""
        with self.lock:
            ending = self.ending()
            if ending is None:
                self.nested[run] = None
                run.outer, run.on_worker = self, self.on_worker
                run.accounts |= self.accounts
                if self.recording is not None and run.recording is None:
                    run.recording = self.recording.nested(run)
        if ending is not None:
            run.fail(ending)

    def ending(self) -> ProgramError | None:
        """What programs called from this one fail with from now on; None while they may run."""
        if self.error is None and self.is_over:
            return ProgramCancelled(f"{self.name} is over: no program can run inside it")
        return self.error

    def release(self, run: Run) -> None:
        """A run inside this one is over: what it used stays counted, everything else is let go."""
        with self.lock:
            del self.nested[run]
            self.own_usage += run.usage()

    def pending(self) -> list[Handle[Outcome]]:
        """Outcomes still in the making."""
        with self.lock:
            steps = [step for stream in self.streams.values() for step in stream.unfinished]
            return [step.outcome for step in steps if step.outcome is not None]

    def settle(self) -> None:
        """Waits until everything recorded has ended, well or badly."""
        self.flush()
        while pending := self.pending():
            for outcome in reversed(pending):
                wait_for(outcome, Deadline(None))

    async def settled(self) -> None:
        """Suspends until everything recorded has ended, well or badly."""
        self.flush()
        while pending := self.pending():
            for outcome in reversed(pending):
                with suppress(ProgramError):
                    await outcome

    def conclude(self) -> None:
        """The program's function has returned and everything has settled: fails with what nobody has seen fail."""
        with self.lock:
            own = {stream.index: stream.error for stream in self.streams.values() if stream.error is not None}
            failures = [failure for _, failure in sorted((self.lost | own).items(), key=lambda item: item[0])]
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
        with self.lock:
            if self.is_over:
                return
            self.error = self.error or error
            streams, nested = list(self.streams.values()), list(self.nested)
        for stream in streams:
            stream.fail(error)
        for run in nested:
            run.fail(error)

    def cancel(self) -> None:
        """Ends the run on somebody's wish. Nothing happens when it is over."""
        self.fail(ProgramCancelled(f"{self.name} was cancelled"))

    def limit(self, timeout: float | None) -> None:
        """It ends after that many seconds, counted from the first call of this, wherever it stands by then."""
        if timeout is not None and self.timer is None:
            self.timer = self.loop.later(timeout, lambda: self.expire(timeout))

    def expire(self, timeout: float) -> None:
        """Ends the run because its time is up."""
        self.fail(ProgramTimeout(f"{self.name} took longer than timeout={timeout:g} s"))

    def close(self) -> None:
        """Gives up every session. What was read, and what can be read without a backend, stays."""
        with self.lock:
            self.is_over = True
            streams = list(self.streams.values())
            outer, self.outer = self.outer, None
        if self.timer is not None:
            self.timer.cancel()
        for stream in streams:
            stream.close()
            stream.log.close()
        if outer is not None:
            outer.release(self)


async def _value_of(running: Awaitable[ProgramState]) -> Any:
    return (await running).ret_value
