"""Limiter: which setting keeps waiting requests from running, as of the last steps. Decides nothing."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from runtime.memory.budget import Budget
from runtime.scheduler.plan import StepPlan

__all__ = ["Limiter"]

log = logging.getLogger("sgdsl.engine")

STEADY = 3
"""Steps in which the same holds before it is said: whoever waits a step for a prefix to be filled is not limited."""

PAUSE_SECONDS = 10.0


class Limiter:
    """Watches the plans of steps.

    Args:
        budget: the numbers that limit.
        clock: seconds, for the pause between two lines of the log.

    Attributes:
        limited_by: the setting that limits concurrency now; None while nobody has to wait.
        steps: setting → steps in which it did.
    """

    def __init__(self, budget: Budget, clock: Callable[[], float] = time.monotonic) -> None:
        self.limited_by: str | None = None
        self.steps: dict[str, int] = {}
        self._budget = budget
        self._clock = clock
        self._seen: str | None = None
        self._times = 0
        self._said: str | None = None
        self._said_at = -PAUSE_SECONDS

    def watch(self, plan: StepPlan, num_running: int, num_waiting: int) -> None:
        """Called with what was planned, and with who runs and waits after it."""
        found = self._reason(plan, num_running) if num_waiting else None
        self._times = self._times + 1 if found == self._seen else 1
        self._seen = found
        if found is None:
            self.limited_by = self._said = None
        elif self._times >= STEADY:
            self.limited_by = found
            self.steps[found] = self.steps.get(found, 0) + 1
            self._say(found, num_running, num_waiting)

    def _reason(self, plan: StepPlan, num_running: int) -> str:
        if num_running >= self._budget.max_running_requests:
            return "max_running_requests"
        prefilled = sum(work.num_tokens for work in plan.extends)
        return "chunked_prefill_size" if prefilled >= self._budget.chunked_prefill_size else "max_total_tokens"

    def _say(self, found: str, num_running: int, num_waiting: int) -> None:
        """Once per cause while requests wait, and not more often than every few seconds."""
        now = self._clock()
        if found == self._said or now - self._said_at < PAUSE_SECONDS:
            return
        self._said, self._said_at = found, now
        log.info(
            "running requests limited to %d by %s; queue %d", num_running, self._budget.written(found), num_waiting
        )
