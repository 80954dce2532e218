"""What a scheduling decision costs with many requests running and many more waiting."""

from __future__ import annotations

import statistics
import time

from runtime.config import SchedulerConfig
from runtime.hint import Hint
from runtime.memory.cache import PrefixCache
from runtime.program_run import ProgramRun
from runtime.request import Request
from runtime.scheduler.scheduler import Scheduler

__all__ = ["decision_ms"]

PAGE_SIZE = 16
PROMPT, NEW = 24, 200


def decision_ms(policy: str, num_running: int = 1024, num_waiting: int = 10_000, repeat: int = 60) -> float:
    """Median ms of `Scheduler.plan`, with a request ended and another one come at every step.

    So there is a place to give at every step, and the queue has changed since the step before.
    """
    cache = PrefixCache(8 * (num_running + num_waiting), PAGE_SIZE)
    config = SchedulerConfig(policy=policy, max_running_requests=num_running)  # type: ignore[arg-type]
    scheduler = Scheduler(cache, config, lambda: False)
    for number in range(num_running + num_waiting):
        scheduler.submit(_request(cache, number))
    while len(scheduler.running) < num_running:
        _settle(scheduler)
    times = []
    for step in range(repeat):
        ended = scheduler.running[(7 * step) % num_running]
        scheduler.end(ended)
        cache.detach(ended.sequence)
        scheduler.submit(_request(cache, num_running + num_waiting + step))
        times.append(_settle(scheduler))
    return statistics.median(times)


def _request(cache: PrefixCache, number: int) -> Request:
    tokens = [number % 50] * PAGE_SIZE + list(range(number, number + PROMPT - PAGE_SIZE))
    return Request(
        tokens=tokens,
        sequence=cache.open(),
        prompt_len=PROMPT,
        max_length=PROMPT + NEW,
        run=ProgramRun(f"program {number % 20}"),
        hint=Hint(remaining_calls=number % 4, remaining_tokens=100 * (number % 4)),
    )


def _settle(scheduler: Scheduler) -> float:
    """A step; ms of its decision. Nobody's text grows, so that every step decides the same."""
    start = time.perf_counter()
    plan = scheduler.plan()
    spent = 1e3 * (time.perf_counter() - start)
    for work in plan.extends:
        request = work.request
        request.cursor = request.sequence.kv_len = PROMPT - 1
        scheduler.cache.commit(request.sequence, request.tokens)
    return spent


if __name__ == "__main__":
    for name in ("fcfs", "lpm", "dfs-weight", "priority", "program"):
        print(f"{name:<12}{decision_ms(name):>8.2f} ms")
