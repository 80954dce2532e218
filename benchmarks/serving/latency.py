"""Latency: how long single requests take, again and again over one connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import aiohttp

from sgdsl.cli.bench.figures import quantile

__all__ = ["Latency", "health", "repeated", "short_completion"]


@dataclass(frozen=True)
class Latency:
    """Milliseconds of many requests."""

    p50: float
    p99: float
    most: float
    count: int

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Latency:
        """What times come to."""
        ordered = sorted(seconds)
        return cls(1e3 * quantile(ordered, 0.5), 1e3 * quantile(ordered, 0.99), 1e3 * ordered[-1], len(ordered))


async def repeated(
    ask: Callable[[], Awaitable[None]], goes_on: Callable[[int], bool], pause_seconds: float = 0.0
) -> Latency:
    """One request after another, with pauses between, while `goes_on` says so of how many there were."""
    times: list[float] = []
    while goes_on(len(times)):
        begun = time.perf_counter()
        await ask()
        times.append(time.perf_counter() - begun)
        await asyncio.sleep(pause_seconds)
    return Latency.of(times)


async def health(http: aiohttp.ClientSession) -> None:
    """Whether the server lives."""
    async with http.get("/health") as answer:
        await _check(answer)


async def short_completion(http: aiohttp.ClientSession) -> None:
    """An answer of four tokens."""
    body = {"prompt": "Once", "max_tokens": 4, "temperature": 0, "ignore_eos": True}
    async with http.post("/v1/completions", json=body) as answer:
        await _check(answer)


async def _check(answer: aiohttp.ClientResponse) -> None:
    content = await answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{answer.url.path}: status {answer.status}: {content[:200]!r}")
