"""Workers: threads for plain programs that are awaited or streamed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

__all__ = ["Workers"]

T = TypeVar("T")
Task = tuple[Future[Any], Callable[[], Any]]


class Workers:
    """At most `limit` threads, started as they are needed.

    They are daemons, unlike an executor's: a process whose main thread has ended, by an exception while it read a
    stream for example, must not wait for a program that nobody reads any more.

    Args:
        limit: threads at most; further work waits.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._tasks: SimpleQueue[Task] = SimpleQueue()
        self._lock = threading.Lock()
        self._num_threads = 0
        self._num_idle = 0

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Does `work` in one of the threads."""
        future: Future[T] = Future()
        with self._lock:
            self._tasks.put((future, work))
            if self._num_idle:
                self._num_idle -= 1
            elif self._num_threads < self._limit:
                self._num_threads += 1
                name = f"sgdsl-program-{self._num_threads}"
                threading.Thread(target=self._serve, name=name, daemon=True).start()
        return future

    def _serve(self) -> None:
        while True:
            _do(*self._tasks.get())
            with self._lock:
                self._num_idle += 1

    @staticmethod
    def apart(work: Callable[[], T]) -> Future[T]:
        """Does `work` at once, in a thread of its own."""
        future: Future[T] = Future()
        threading.Thread(target=_do, args=(future, work), name="sgdsl-nested", daemon=True).start()
        return future


def _do(future: Future[Any], work: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = work()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)
