"""Rise: a load that doubles until the engine's throughput grows no more, measured at every level."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sgdsl.cli.tuning.prompts import Prompt

if TYPE_CHECKING:
    from runtime.engine import Engine

__all__ = ["Level", "levels_up_to", "rise"]

GROWTH = 1.05
"""Throughput that is not greater by this has not grown."""

PATIENCE = 2
"""Levels in a row without growth that end the rise."""

GLANCE_SECONDS = 0.05
WARM_UP = 0.3
"""Of a level's time at most, before anything counts."""

MOST_WINDOWS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """What was measured with so many requests at once. Seconds are medians and 90 % quantiles of those that ended.

    Attributes:
        kv_tokens: slots in use at most; what could be evicted is not.
        kv_use: the same as a share of the pool.
        limited_by: the setting that kept requests waiting in most steps, None where few had to wait.
    """

    concurrency: int
    seconds: float
    requests: int
    tokens_per_second: float
    cached_share: float
    queue_seconds: tuple[float, float]
    first_token_seconds: tuple[float, float]
    running: float
    kv_tokens: int
    kv_use: float
    limited_by: str | None


def levels_up_to(most: int) -> list[int]:
    """1, 2, 4 … and at last `most` itself."""
    return [*(2**power for power in range(math.ceil(math.log2(most)))), most]


def rise(
    engine: Engine, prompts: Iterator[Prompt], *, seconds: float, most: int, tell: Callable[[Level], None]
) -> list[Level]:
    """Measures level after level.

    Args:
        prompts: drawn from as requests begin; endless.
        seconds: for all levels together, about.
        most: requests at once on the last level.
        tell: called with each level when it is over.

    Raises:
        EngineError: a prompt cannot be served.
    """
    planned = levels_up_to(most)
    found: list[Level] = []
    ends = time.monotonic() + seconds
    best, stale = 0.0, 0
    for place, concurrency in enumerate(planned):
        left = max(ends - time.monotonic(), 0.1 * seconds / len(planned))
        engine.flush_cache()
        level = asyncio.run(_Load(engine, prompts, concurrency).measured(left / (len(planned) - place)))
        found.append(level)
        tell(level)
        stale = 0 if level.tokens_per_second > GROWTH * best else stale + 1
        best = max(best, level.tokens_per_second)
        if stale == PATIENCE:
            break
    return found


class _Load:
    """So many workers, each with one request after the other."""

    def __init__(self, engine: Engine, prompts: Iterator[Prompt], concurrency: int) -> None:
        self._engine = engine
        self._prompts = prompts
        self._concurrency = concurrency
        self._metas: list[Mapping[str, Any]] = []
        self._running: list[int] = []
        self._held = 0

    async def measured(self, seconds: float) -> Level:
        """Loads the engine for that long, and longer where no request has ended for each worker by then."""
        begun = time.monotonic()
        workers = [asyncio.create_task(self._work(place)) for place in range(self._concurrency)]
        try:
            await self._until(lambda passed: self._has_warmed_up(passed, seconds), begun, workers)
            self._metas, self._running, self._held = [], [], 0
            before, begun = self._engine.stats(), time.monotonic()
            seconds *= 1 - WARM_UP
            await self._until(lambda passed: self._is_enough(passed, seconds), begun, workers)
            after, wall = self._engine.stats(), time.monotonic() - begun
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        return self._level(before, after, wall)

    async def _until(
        self, is_over: Callable[[float], bool], begun: float, workers: Sequence[asyncio.Task[None]]
    ) -> None:
        while not is_over(time.monotonic() - begun):
            await asyncio.sleep(GLANCE_SECONDS)
            self._glance()
            for worker in workers:
                if worker.done():
                    worker.result()  # raises why

    async def _work(self, place: int) -> None:
        """The first answers have different lengths, so that not all begin and end together ever after."""
        share = (place + 1) / self._concurrency
        while True:
            answer = await self._engine.async_generate(**next(self._prompts).arguments(share))
            self._metas.append(answer["meta_info"])
            share = 1.0

    def _has_warmed_up(self, passed: float, seconds: float) -> bool:
        """Prompts that all begin at once say nothing of how it goes on."""
        return passed >= WARM_UP * seconds or len(self._metas) >= self._concurrency

    def _is_enough(self, passed: float, seconds: float) -> bool:
        return passed >= seconds and (len(self._metas) >= self._concurrency or passed >= MOST_WINDOWS * seconds)

    def _glance(self) -> None:
        stats = self._engine.stats()
        ledger = stats["ledger"]
        self._held = max(self._held, ledger["total"] - ledger["free"] - stats["evictable_tokens"])
        self._running.append(stats["running"])

    def _level(self, before: Mapping[str, Any], after: Mapping[str, Any], wall: float) -> Level:
        steps = max(1, after["steps"] - before["steps"])
        limits = Counter(after["limited_steps"]) - Counter(before["limited_steps"])
        name, count = max(limits.items(), key=lambda item: item[1], default=(None, 0))
        prompt = sum(meta["prompt_tokens"] for meta in self._metas)
        cached = sum(meta["cached_tokens"] for meta in self._metas)
        return Level(
            concurrency=self._concurrency,
            seconds=round(wall, 2),
            requests=len(self._metas),
            tokens_per_second=round((after["generated_tokens"] - before["generated_tokens"]) / wall, 1),
            cached_share=round(cached / max(1, prompt), 3),
            queue_seconds=_quantiles([meta["queue_time"] for meta in self._metas]),
            first_token_seconds=_quantiles([meta["time_to_first_token"] for meta in self._metas]),
            running=round(sum(self._running) / max(1, len(self._running)), 1),
            kv_tokens=self._held,
            kv_use=round(self._held / after["ledger"]["total"], 4),
            limited_by=name if count > steps / 2 else None,
        )


def _quantiles(values: Sequence[float | None]) -> tuple[float, float]:
    """The median, and what nine of ten do not exceed; not a number where there are none."""
    ordered = sorted(value for value in values if value is not None)
    if not ordered:
        return math.nan, math.nan
    median, high = (ordered[math.ceil(share * len(ordered)) - 1] for share in (0.5, 0.9))
    return round(median, 4), round(high, 4)
