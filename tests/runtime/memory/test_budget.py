from __future__ import annotations

from typing import Any

import pytest

from runtime.config import MemoryConfig, SchedulerConfig
from runtime.errors import ConfigError
from runtime.memory.budget import Budget, derive

MIB = 1 << 20


def budget(
    free: int = 1024 * MIB, weights: int = 0, per_token: int = 1024, context: int = 512, **memory: Any
) -> Budget:
    return derive(
        MemoryConfig(**memory),
        SchedulerConfig(max_running_requests=7, chunked_prefill_size=33),
        model_context=context,
        bytes_per_token=per_token,
        free_bytes=free,
        weight_bytes=weights,
    )


def test_what_is_given_is_kept() -> None:
    made = budget(max_total_tokens=1000, context_length=100, page_size=16)
    assert (made.num_pages, made.max_total_tokens, made.context_length) == (62, 992, 100)
    assert (made.max_running_requests, made.chunked_prefill_size) == (7, 33)
    assert made.max_sequence == 100
    assert budget(max_total_tokens=64).max_sequence == 64


def test_the_default_pool_is_a_quarter_of_what_is_left_and_four_gib_at_most() -> None:
    assert budget(weights=24 * MIB).max_total_tokens == 250 * MIB // 1024
    assert budget(free=64 << 30).max_total_tokens == (4 << 30) // 1024
    assert budget(free=0).num_pages == 2


def test_a_fraction_is_of_the_free_memory_with_the_weights() -> None:
    made = budget(weights=312 * MIB, mem_fraction_static=0.5)
    assert made.max_total_tokens == 200 * MIB // 1024


def test_every_number_has_a_reason() -> None:
    lines = "\n".join(budget(max_total_tokens=2048, context_length=100).lines())
    for name in ("max_total_tokens", "context_length", "max_running_requests", "chunked_prefill_size", "page_size"):
        assert name in lines
    assert "2048" in lines
    assert "2 MiB" in lines


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"context_length": 513}, "context_length=513 exceeds the model's 512"),
        ({"max_total_tokens": 31, "page_size": 16}, "max_total_tokens=31 .*page_size=16.*max_total_tokens=32 or more"),
        (
            {"max_total_tokens": 1 << 20, "mem_fraction_static": 0.5},
            "max_total_tokens=1048576 needs 1024 MiB .*mem_fraction_static=0.5 allows 512 MiB.*max_total_tokens=524288",
        ),
        (
            {"mem_fraction_static": 0.1, "weights": 200 * MIB},
            "mem_fraction_static=0.1 of 1024 MiB .*200 MiB of weights",
        ),
    ],
)
def test_a_contradiction_is_refused_with_both_values_and_a_way_out(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        budget(**settings)


def test_the_set_that_is_proposed_works() -> None:
    assert budget(max_total_tokens=524288, mem_fraction_static=0.5).max_total_tokens == 524288
