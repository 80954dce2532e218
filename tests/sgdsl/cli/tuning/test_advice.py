from __future__ import annotations

from typing import Any

from sgdsl.cli.tuning.advice import advise
from sgdsl.cli.tuning.rise import Level


def _levels(*speeds: float, **facts: Any) -> list[Level]:
    plain = {
        "seconds": 1.0, "requests": 9, "cached_share": 0.0, "queue_seconds": (0.0, 0.0),
        "first_token_seconds": (0.1, 0.2), "running": 1.0, "kv_use": 0.1, "limited_by": None,
    }  # fmt: skip
    return [
        Level(concurrency=2**i, tokens_per_second=speed, kv_tokens=500 * 2**i, **(plain | facts))
        for i, speed in enumerate(speeds)
    ]


def test_the_least_concurrency_near_the_best_throughput_is_recommended() -> None:
    advice = advise(_levels(10, 20, 38.5, 40, 39), {"model": "m", "mem_fraction_static": 0.5}, 100_000, 2048)
    assert advice.level.concurrency == 4
    assert advice.settings == {"model": "m", "max_running_requests": 4, "max_total_tokens": 4096}
    assert len(advice.reasons) == 2


def test_the_pool_holds_the_longest_sequence_and_is_no_larger_than_it_was() -> None:
    assert advise(_levels(10), {}, 100_000, 8192).settings["max_total_tokens"] == 8192
    assert advise(_levels(10), {}, 512, 8192).settings["max_total_tokens"] == 512


def test_what_limits_and_that_it_still_grows_are_said() -> None:
    reasons = advise(_levels(10, 20, limited_by="max_total_tokens"), {}, 100_000, 64).reasons
    assert "max_total_tokens kept requests waiting" in reasons[2]
    assert "still growing" in reasons[3]
