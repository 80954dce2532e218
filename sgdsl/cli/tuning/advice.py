"""Advice: what a measured rise says about settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sgdsl.cli.tuning.rise import GROWTH, Level

__all__ = ["Advice", "advise"]

NEAR = 0.95
"""Of the best throughput: whoever has this much gains little from waiting longer."""

HEADROOM = 2
"""Times the KV in use, so that prefixes stay cached beside what runs."""


@dataclass(frozen=True, slots=True)
class Advice:
    """Recommended settings, the level they are made for, and why."""

    level: Level
    settings: Mapping[str, Any]
    reasons: Sequence[str]


def advise(levels: Sequence[Level], given: Mapping[str, Any], pool: int, context_length: int) -> Advice:
    """Recommends the least concurrency that comes near the best throughput, and a pool for it.

    Args:
        given: settings the measurement was made with; they are kept where nothing speaks against them.
        pool: the engine's max_total_tokens.
        context_length: tokens of the longest sequence, which the pool is to hold in any case.
    """
    best = max(levels, key=lambda level: level.tokens_per_second)
    level = next(one for one in levels if one.tokens_per_second >= NEAR * best.tokens_per_second)
    tokens = min(pool, -(-max(HEADROOM * level.kv_tokens, context_length) // 256) * 256)
    kept = {name: value for name, value in given.items() if name != "mem_fraction_static"}
    reasons = [
        f"max_running_requests={level.concurrency}: {level.tokens_per_second:.0f} tokens/s of at most "
        f"{best.tokens_per_second:.0f}",
        f"max_total_tokens={tokens}: {level.kv_tokens} were in use at most, the rest is for longer ones and cached "
        "prefixes",
    ]
    if level.limited_by is not None:
        reasons.append(f"{level.limited_by} kept requests waiting there: a greater one may be worth trying")
    if best is levels[-1] and (len(levels) < 2 or best.tokens_per_second > GROWTH * levels[-2].tokens_per_second):
        reasons.append("throughput was still growing: --max-concurrency can go further")
    return Advice(level, {**kept, "max_running_requests": level.concurrency, "max_total_tokens": tokens}, reasons)
