"""Knowing where everything is costs little beside what is there."""

from __future__ import annotations

import pytest

from benchmarks.metadata import measure
from runtime.config import MemoryConfig, SchedulerConfig
from runtime.memory.budget import derive

DEFAULT_MODEL = {"bytes_per_token": 2 * 30 * 3 * 64 * 4, "model_context": 8192}
"""SmolLM2-135M: keys and values of 30 layers, 3 heads of 64, float32."""


@pytest.mark.parametrize(("page_size", "tokens"), [(16, 16_384), (4, 2_048)])
def test_metadata_takes_at_most_two_percent_of_the_pool(page_size: int, tokens: int) -> None:
    """At any size of the pool the share is about the same; the default one is measured by the benchmark."""
    memory = MemoryConfig(page_size=page_size, max_total_tokens=tokens)
    found = measure(derive(memory, SchedulerConfig(), free_bytes=16 << 30, weight_bytes=0, **DEFAULT_MODEL))
    assert found["ledger_bytes"] >= tokens // page_size
    assert found["tree_bytes"] > 100 * tokens // page_size
    assert found["page_table_bytes"] > 0
    assert 0.0005 < found["share"] <= 0.02
    assert found["met"]
