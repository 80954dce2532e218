"""What a fork of a long state costs: in the engine's thread, and for whoever waits until the fork is there."""

from __future__ import annotations

import statistics
import time
from typing import Any

from runtime.engine import Engine
from runtime.sampling.params import SamplingParams

__all__ = ["fork_ms"]

TAIL = 7
"""Tokens beyond the last full page, which a fork copies."""


def fork_ms(engine: Engine, num_tokens: int = 4000, repeat: int = 100) -> tuple[float, float, int]:
    """Median ms of `SessionTable.fork`, and of `session.fork(1)` up to its answer; tokens that were computed."""
    core = engine._core  # the engine's own part can only be timed from inside
    fork, inside, outside = core.sessions.fork, [], []

    def timed(*sessions: Any) -> None:
        start = time.perf_counter()
        fork(*sessions)
        inside.append(1e3 * (time.perf_counter() - start))

    with engine.open() as session:
        session.append([300 + 7 * i % 5000 for i in range(num_tokens + TAIL)])
        session.generate(SamplingParams(max_new_tokens=0)).result()
        before = engine.stats()["computed_tokens"]
        core.sessions.fork = timed  # type: ignore[method-assign]
        try:
            for _ in range(repeat):
                start = time.perf_counter()
                child = session.fork(1)[0]
                child.mark().result()
                outside.append(1e3 * (time.perf_counter() - start))
                child.close()
        finally:
            core.sessions.fork = fork  # type: ignore[method-assign]
        computed = engine.stats()["computed_tokens"] - before
    return statistics.median(inside), statistics.median(outside), computed
