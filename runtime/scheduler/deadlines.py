"""Deadlines: which requests have run out of time."""

from __future__ import annotations

import heapq
import itertools
import math
import time
from collections.abc import Callable, Iterable

from runtime.request import Phase, Request

__all__ = ["MOST_WAITING", "Deadlines"]

MOST_WAITING = 64
"""So many of those who wait are ended in one step; ending thousands at once would delay everybody's next token."""

SPARE = 64


class Deadlines:
    """Knows the deadlines of all requests that have one.

    Args:
        clock: seconds. Where it goes back, the time is what it was.

    Attributes:
        now: the time as of the last step.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.now = -math.inf
        self._heap: list[tuple[float, int, Request]] = []
        self._numbers = itertools.count()
        self._live = 0

    def after(self, seconds: float | None) -> float:
        """The deadline of what may take so long from now on; infinite for None."""
        return math.inf if seconds is None else self._tick() + seconds

    def add(self, request: Request) -> None:
        """A request comes."""
        if request.deadline < math.inf:
            self._live += 1
            heapq.heappush(self._heap, (request.deadline, next(self._numbers), request))

    def remove(self, request: Request) -> None:
        """A request has ended. It stays in the heap until that is half full of such ones."""
        if request.deadline < math.inf:
            self._live -= 1
            if len(self._heap) > 2 * self._live + SPARE:
                self._heap = [entry for entry in self._heap if entry[2].phase is not Phase.ENDED]
                heapq.heapify(self._heap)

    def lift(self, request: Request) -> None:
        """A request is given all the time it needs."""
        self.remove(request)
        request.deadline = math.inf

    def passed(self, running: Iterable[Request]) -> list[Request]:
        """Those whose time is up: all that run, and of the others those that are longest overdue, up to a limit."""
        if not self._live:
            return []
        now = self._tick()
        late = [request for request in running if request.deadline <= now]
        most = len(late) + MOST_WAITING
        while self._heap and self._heap[0][0] <= now and len(late) < most:
            request = heapq.heappop(self._heap)[2]
            if request.phase is Phase.WAITING and request.deadline <= now:
                late.append(request)
        return late

    def seconds_left(self) -> float | None:
        """Until the next deadline; None where there is none."""
        return max(0.0, self._heap[0][0] - self._tick()) if self._heap else None

    def _tick(self) -> float:
        self.now = max(self.now, self.clock())
        return self.now
