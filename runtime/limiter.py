"""Limiter: which setting keeps waiting requests from running, as of the last steps. Decides nothing."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from runtime.memory.budget import Budget
from runtime.scheduler.plan import Limit

__all__ = ["Limiter"]

log = logging.getLogger("sgdsl.engine")

STEADY = 3
"""Steps in which the same holds before it is said: whoever waits a step for a prefix to be filled is not limited."""

PAUSE_SECONDS = 10.0

_SAID = {
    Limit.PREFIX: "a prefix that another request computes",
    Limit.TIERS: "what is on its way from host memory or disk",
}


class Limiter:
    """Is told by the scheduler, step by step, what keeps those who wait from running.

    Args:
        budget: the numbers that limit.
        clock: seconds, for the pause between two lines of the log.

    Attributes:
        limited_by: the setting that limits concurrency now, or "shared_prefix" or "tiers" (see `Limit`); None while
            nobody has to wait.
        steps: the same → steps in which it did.
    """

    def __init__(self, budget: Budget, clock: Callable[[], float] = time.monotonic) -> None:
        self.limited_by: str | None = None
        self.steps: dict[str, int] = {}
        self._budget = budget
        self._clock = clock
        self._seen: Limit | None = None
        self._times = 0
        self._said: Limit | None = None
        self._said_at = -PAUSE_SECONDS

    def watch(self, limit: Limit | None, num_running: int, num_waiting: int) -> None:
        """Called with what the plan says, and with who runs and waits after it."""
        found = self._cause(limit) if num_waiting else None
        self._times = self._times + 1 if found == self._seen else 1
        self._seen = found
        if found is None:
            self.limited_by = self._said = None
        elif self._times >= STEADY:
            name = self.limited_by = found.value
            self.steps[name] = self.steps.get(name, 0) + 1
            self._say(found, num_running, num_waiting)

    def _cause(self, limit: Limit | None) -> Limit | None:
        """Where the pool has but a page for each place, more memory would be more places."""
        budget = self._budget
        is_short = limit is Limit.PLACES and budget.max_running_requests >= budget.num_pages
        return Limit.MEMORY if is_short else limit

    def _say(self, found: Limit, num_running: int, num_waiting: int) -> None:
        """Once per cause while requests wait, and not more often than every few seconds."""
        now = self._clock()
        if found == self._said or now - self._said_at < PAUSE_SECONDS:
            return
        self._said, self._said_at = found, now
        what = _SAID.get(found) or self._budget.written(found.value)
        log.info("running requests limited to %d by %s; queue %d", num_running, what, num_waiting)
