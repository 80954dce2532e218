"""Worker: a thread that does small tasks in order and at set times, and goes away when there are none."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable

__all__ = ["Worker"]

IDLE_SECONDS = 0.2

_log = logging.getLogger("sgdsl.worker")


class Worker:
    """Runs tasks one after the other, earliest first. Its thread exists while `is_running`.

    Args:
        name: the thread's.
    """

    def __init__(self, name: str = "sgdsl-mock") -> None:
        self._name = name
        self._condition = threading.Condition()
        self._tasks: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self.is_running = False

    def post(self, task: Callable[[], None], seconds: float = 0.0) -> None:
        """Runs `task` in the worker's thread, after that many seconds."""
        due = time.monotonic() + seconds if seconds else 0.0
        with self._condition:
            heapq.heappush(self._tasks, (due, next(self._order), task))
            if not self.is_running:
                self.is_running = True
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
            else:
                self._condition.notify()

    def _run(self) -> None:
        while (task := self._next()) is not None:
            try:
                task()
            except Exception:  # of one session; the others' tasks are done all the same
                _log.exception("a task in the thread %s raised", self._name)

    def _next(self) -> Callable[[], None] | None:
        with self._condition:
            while True:
                now = time.monotonic()
                if self._tasks and self._tasks[0][0] <= now:
                    return heapq.heappop(self._tasks)[2]
                wait = self._tasks[0][0] - now if self._tasks else IDLE_SECONDS
                notified = self._condition.wait(wait)
                if not notified and not self._tasks:
                    self.is_running = False
                    return None
