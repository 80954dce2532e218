"""Settings of the soak: every policy, eviction, page size and tier comes its turn, in an order of the seed's."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from runtime.config import Eviction, Policy

__all__ = ["rounds"]

TIERS: tuple[dict[str, Any], ...] = (
    {},
    {"host_cache_bytes": 1 << 16},
    {"disk_cache_dir": "", "disk_cache_bytes": 1 << 20},
    {"host_cache_bytes": 1 << 16, "disk_cache_dir": "", "disk_cache_bytes": 1 << 20, "tier_write": "write_back"},
)


def rounds(seed: int, folder: Path) -> Iterator[dict[str, Any]]:
    """The settings of one engine after the other, without end.

    Args:
        folder: of the disk tier; all rounds have the same, so that each finds what others have left.
    """
    dice = random.Random(f"{seed}/settings")
    policies, evictions = list(get_args(Policy)), list(get_args(Eviction))
    tiers, page_sizes = list(TIERS), [1, 16]
    for cycle in (policies, evictions, tiers, page_sizes):
        dice.shuffle(cycle)
    number = 0
    while True:
        below = dict(tiers[number // 2 % len(tiers)])
        if "disk_cache_dir" in below:
            below["disk_cache_dir"] = str(folder)
        yield {
            "policy": policies[number % len(policies)],
            "eviction": evictions[number % len(evictions)],
            "page_size": page_sizes[number % 2],
            "max_total_tokens": dice.choice((192, 256, 384)),
            "max_running_requests": dice.choice((6, 16, 64)),
            "chunked_prefill_size": dice.choice((16, 64, 512)),
            "preemption": dice.random() < 0.8,
            "jump_forward": dice.random() < 0.7,
            "audit": "step",
            **below,
        }
        number += 1
