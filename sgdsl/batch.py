"""Batch: one program over many items, in a bounded window of threads."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

from sgdsl.backends.base import Backend
from sgdsl.errors import BatchInterrupted, InvalidArgument, ProgramCancelled
from sgdsl.execution import perform
from sgdsl.run import current_run
from sgdsl.sampling import Sampling
from sgdsl.waiting import wait_for_future

if TYPE_CHECKING:
    from sgdsl.program import Program
    from sgdsl.record.sink import Sink
    from sgdsl.run import Run
    from sgdsl.state import ProgramState

__all__ = ["Batch"]

WINDOW_PER_THREAD = 2


class Batch:
    """Runs items with at most `num_threads` at once and a window of a few more waiting, so memory stays flat.

    Args:
        items: positional and keyword arguments of each, checked already.
        others: as `Program.run_batch`.
    """

    def __init__(
        self,
        program: Program,
        items: Sequence[tuple[Sequence[Any], Mapping[str, Any]]],
        backend: Backend,
        *,
        num_threads: int | str,
        progress_bar: bool,
        return_exceptions: bool,
        timeout: float | None,
        sampling: Sampling,
        sink: Sink | None = None,
    ) -> None:
        self._program = program
        self._items = items
        self._backend = backend
        self._num_threads = _threads(num_threads, backend, len(items))
        self._progress_bar = progress_bar
        self._return_exceptions = return_exceptions
        self._timeout = timeout
        self._sampling = sampling
        self._sink = sink
        self._live: set[Run] = set()
        self._lock = threading.Lock()
        self._stopped = False
        self._first_failure: BaseException | None = None
        self._outer = current_run()
        self._context = copy_context()

    def collect(self) -> list[Any]:
        """Every result, in order."""
        results: list[Any] = [None] * len(self._items)
        finished = 0
        futures: deque[Future[Any]] = deque()
        try:
            for result in self._iterate(futures):
                results[finished] = result
                finished += 1
        except KeyboardInterrupt:
            for position, future in enumerate(futures, start=finished):
                results[position] = _finished(future)
            raise BatchInterrupted(results) from None
        return results

    def iterate(self) -> Iterator[Any]:
        """Results in order, as they are ready."""
        yield from self._iterate(deque())

    def _iterate(self, futures: deque[Future[Any]]) -> Iterator[Any]:
        """Keeps the window of `futures` filled and yields what its front comes to."""
        executor = ThreadPoolExecutor(self._num_threads, thread_name_prefix="sgdsl-batch")
        waiting = iter(self._items)
        complete = False
        with _Progress(len(self._items), self._progress_bar) as progress:
            try:
                while True:
                    self._fill(futures, waiting, executor, progress)
                    if not futures:
                        break
                    result = self._result(futures[0])
                    futures.popleft()
                    yield result
                complete = True
            finally:
                if not complete:
                    self._stop()
                executor.shutdown(wait=complete, cancel_futures=True)

    def _fill(
        self,
        futures: deque[Future[Any]],
        waiting: Iterator[tuple[Sequence[Any], Mapping[str, Any]]],
        executor: ThreadPoolExecutor,
        progress: _Progress,
    ) -> None:
        while len(futures) < self._num_threads * WINDOW_PER_THREAD:
            item = next(waiting, None)
            if item is None:
                return
            if self._outer is not None and (ending := self._outer.ending()) is not None:
                raise ending
            future = executor.submit(self._context.copy().run, partial(self._one, *item))
            future.add_done_callback(progress.step)
            if not self._return_exceptions:
                future.add_done_callback(self._stop_on_failure)
            futures.append(future)

    def _stop_on_failure(self, future: Future[Any]) -> None:
        error = None if future.cancelled() else future.exception()
        if error is not None:
            self._first_failure = self._first_failure or error
            self._stop()

    def _result(self, future: Future[Any]) -> Any:
        wait_for_future(future)
        error = future.exception()
        if error is None:
            return future.result()
        if self._return_exceptions and isinstance(error, Exception):
            return error
        raise self._first_failure or error

    def _one(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> ProgramState:
        with self._lock:
            if self._stopped:
                raise ProgramCancelled(f"{self._program.name} was not started: the batch has ended")
            run = self._program.start(self._backend, self._sampling, self._sink)
            self._live.add(run)
        try:
            return perform(self._program, run, args, kwargs, self._timeout)
        finally:
            with self._lock:
                self._live.discard(run)

    def _stop(self) -> None:
        with self._lock:
            self._stopped = True
            live = list(self._live)
        for run in live:
            run.cancel()


def _finished(future: Future[Any]) -> Any:
    """What an item came to by itself; None when it was cut off."""
    if not future.done() or future.cancelled():
        return None
    error = future.exception()
    if error is None:
        return future.result()
    return None if isinstance(error, ProgramCancelled | KeyboardInterrupt) else error


def _threads(asked: int | str, backend: Backend, num_items: int) -> int:
    if asked == "auto":
        return max(1, min(num_items, backend.capabilities.concurrency))
    if isinstance(asked, bool) or not isinstance(asked, int) or asked < 1:
        raise InvalidArgument(f"num_threads={asked!r} is not allowed: 'auto' or an integer of at least 1")
    return max(1, min(num_items, asked))


class _Progress:
    """A progress bar, or none."""

    def __init__(self, total: int, shown: bool) -> None:
        self._total = total
        self._shown = shown
        self._bar: Any = None

    def __enter__(self) -> _Progress:
        if self._shown:
            from tqdm.auto import tqdm

            self._bar = tqdm(total=self._total)
        return self

    def step(self, _: object) -> None:
        """One item has ended."""
        if self._bar is not None:
            self._bar.update(1)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
