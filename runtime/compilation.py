"""Compilation: constraints become grammars in threads of their own, so that the step loop never waits for one."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue

from grammars import Grammar, GrammarError, GrammarLimit, Spec
from grammars.compiler import GrammarCompiler
from runtime.failures import Failures
from runtime.stats import Stats

__all__ = ["Compilation", "Ticket"]

_LOG = logging.getLogger(__name__)

NUM_WORKERS = 2
MOST_FAILURES = 256
Post = Callable[[Callable[[], None]], None]
Then = Callable[[Future[Grammar]], None]


@dataclass(eq=False, slots=True)
class _Task:
    """One compilation, for everybody who waits for it.

    Attributes:
        waiters: emptied when they have been told, or have gone.
        is_dropped: nobody waits any more, so that no worker need begin it, and one that has begun stops.
        given_up: what all are told while it still runs although its time is over.
        ended: set when a worker is through with it.
    """

    spec: Spec
    waiters: list[Ticket] = field(default_factory=list)
    is_dropped: bool = False
    given_up: Future[Grammar] | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    def is_unwanted(self) -> bool:
        """Whether to stop; asked by the worker's thread."""
        return self.is_dropped


@dataclass(eq=False, slots=True)
class Ticket:
    """One requester's claim on a compilation."""

    then: Then
    task: _Task


class Compilation:
    """Compiles off the step loop and reports back into it.

    Requests for a spec that is being compiled wait for that compilation, and what a spec failed with the last time is
    told at once, unless it was for want of time. All methods are the engine's thread's.
    A compilation that nobody waits for any more stops where the compiler looks at its limits. One that takes too long
    is given up but goes on for the next one who asks: another thread takes its worker's place until it ends by the
    compiler's own limits.

    Args:
        compiler: does the work; caches by content.
        post: has a function called in the engine's thread.
        stats: counts what is done here.
        most_seconds: time limit of one compilation.
    """

    def __init__(self, compiler: GrammarCompiler, post: Post, stats: Stats, most_seconds: float) -> None:
        self._compiler = compiler
        self._post = post
        self._stats = stats
        self._most_seconds = most_seconds
        self._tasks: dict[Spec, _Task] = {}
        self._failures = Failures(MOST_FAILURES)
        self._queue: SimpleQueue[_Task | None] = SimpleQueue()
        self._begun: SimpleQueue[tuple[float, _Task] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._has_threads = False
        self._is_shut = False

    def find(self, spec: Spec) -> Grammar | None:
        """The grammar, if it is made already."""
        found = self._compiler.find(spec)
        self._stats.grammar_cache_hits += found is not None
        return found

    def submit(self, spec: Spec, then: Then) -> Ticket:
        """Compiles `spec`; `then` gets the ended future, in the engine's thread.

        Raises:
            RuntimeError: after `shutdown`.
        """
        if self._is_shut:
            raise RuntimeError("nothing is compiled after shutdown")
        error = self._failures.find(spec)
        if error is not None:
            return self._refuse(spec, then, error)
        self._start()
        task = self._tasks.get(spec)
        if task is None:
            task = self._tasks[spec] = _Task(spec)
            self._queue.put(task)
        ticket = Ticket(then, task)
        task.waiters.append(ticket)
        if task.given_up is not None:
            self._post(partial(self._tell, task, task.given_up))
        return ticket

    def _refuse(self, spec: Spec, then: Then, error: BaseException) -> Ticket:
        """Tells what is known to fail, but not before the requester has the ticket."""
        task, future = _Task(spec), Future[Grammar]()
        future.set_exception(error)
        ticket = Ticket(then, task)
        task.waiters.append(ticket)
        self._stats.grammar_failures += 1
        self._post(partial(self._tell, task, future))
        return ticket

    def drop(self, ticket: Ticket) -> None:
        """The requester has gone; what nobody else waits for is not begun any more, or stops."""
        task = ticket.task
        if ticket in task.waiters:
            task.waiters.remove(ticket)
            if not task.waiters and task.given_up is None:
                task.is_dropped = True
                self._forget(task)

    def shutdown(self) -> None:
        """Begins nothing more; what was not begun is cancelled."""
        self._is_shut = True
        for task in tuple(self._tasks.values()):
            task.is_dropped = True
            cancelled: Future[Grammar] = Future()
            cancelled.cancel()
            self._tell(task, cancelled)
        self._tasks.clear()
        for _ in range(NUM_WORKERS):
            self._queue.put(None)
        self._begun.put(None)

    def _start(self) -> None:
        if not self._has_threads:
            self._has_threads = True
            threading.Thread(target=self._watch, name="sgdsl-grammar-watch", daemon=True).start()
            for _ in range(NUM_WORKERS):
                self._start_worker()

    def _start_worker(self) -> None:
        threading.Thread(target=self._work, name="sgdsl-grammar", daemon=True).start()

    def _forget(self, task: _Task) -> None:
        if self._tasks.get(task.spec) is task:
            del self._tasks[task.spec]

    def _tell(self, task: _Task, future: Future[Grammar]) -> None:
        waiters, task.waiters = task.waiters, []
        for ticket in waiters:
            ticket.then(future)

    def _settle(self, task: _Task, future: Future[Grammar], seconds: float) -> None:
        self._stats.grammar_compile_seconds += seconds
        self._stats.grammar_compilations += 1
        self._stats.timings.grammar_compilation.add(seconds)
        error = future.exception()
        self._stats.grammar_failures += error is not None and task.given_up is None and not task.is_dropped
        if isinstance(error, GrammarError):
            self._failures.keep(task.spec, error)
        self._forget(task)
        self._tell(task, future)

    def _give_up(self, task: _Task) -> None:
        with self._lock:
            if task.ended.is_set() or self._is_shut:
                return
            task.given_up = Future()
        limit = f"grammar_compile_seconds={self._most_seconds:g}"
        task.given_up.set_exception(GrammarLimit(f"compiling the constraint takes longer than {limit}"))
        self._stats.grammar_failures += 1
        self._start_worker()  # in the place of the one that still runs
        self._tell(task, task.given_up)

    # ---- in threads of their own

    def _work(self) -> None:
        while (task := self._queue.get()) is not None:
            if task.is_dropped:
                continue
            start = time.monotonic()
            self._begun.put((start + self._most_seconds, task))
            future: Future[Grammar] = Future()
            try:
                grammar = self._compiler.compile(task.spec, task.is_unwanted)
                for warning in grammar.warnings:
                    _LOG.warning("constraint: %s", warning)
                future.set_result(grammar)
            except Exception as error:
                future.set_exception(error)
            with self._lock:
                task.ended.set()
            self._post(partial(self._settle, task, future, time.monotonic() - start))
            if task.given_up is not None:
                return

    def _watch(self) -> None:
        """Sees who takes too long. All have the same time, so whoever began first is the first to be out of it."""
        while (entry := self._begun.get()) is not None:
            deadline, task = entry
            if not task.ended.wait(max(0.0, deadline - time.monotonic())):
                self._post(partial(self._give_up, task))
