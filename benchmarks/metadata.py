"""What it costs to know where everything is: bytes of ledger, tree and page tables, beside the KV pool's own.

python -m benchmarks.metadata [--model NAME] [--page-size N] [--kv-dtype NAME]

The worst case is built and measured: every page of the pool a node of its own in the tree, and every running request a
sequence over as many of them as the context allows, up to 512.
"""

from __future__ import annotations

import argparse
import json
import tracemalloc
from collections.abc import Callable
from typing import Any, TypeVar

from runtime.attention.base import KV_DTYPES, KVPool
from runtime.config import MemoryConfig, SchedulerConfig
from runtime.ledger import Owner
from runtime.memory.budget import Budget, derive
from runtime.memory.cache import PrefixCache
from runtime.memory.sequence import SequenceKV

__all__ = ["measure"]

MOST_SHARE = 0.02
MOST_DEPTH = 512
TABLE_ENTRY_BYTES = 4
"""The page table that attention reads is of int32, one row a running request."""

T = TypeVar("T")


def _weighed(make: Callable[[], T]) -> tuple[T, int]:
    before = tracemalloc.get_traced_memory()[0]
    made = make()
    return made, tracemalloc.get_traced_memory()[0] - before


def _fill(cache: PrefixCache, pages_a_prompt: int) -> list[list[int]]:
    """Prompts until the pool is full; each grows page by page, so that every page is a node."""
    prompts: list[list[int]] = []
    while cache.pool.num_free:
        first, tokens, pages = 10_000 + len(prompts), [], []
        for depth in range(min(pages_a_prompt, cache.pool.num_free)):
            tokens += [first, *range(depth, depth + cache.page_size - 1)]
            pages += cache.pool.allocate(1, Owner.REQUEST)
            cache.tree.insert(tokens, pages, Owner.REQUEST)
        prompts.append(tokens)
    return prompts


def _attach(cache: PrefixCache, prompts: list[list[int]], count: int) -> list[SequenceKV]:
    sequences = []
    for number in range(count):
        sequences.append(cache.open())
        cache.attach(sequences[-1], [*prompts[number % len(prompts)], 1])
    return sequences


def measure(budget: Budget) -> dict[str, Any]:
    """Bytes of each kind, and their share of the pool's.

    Args:
        budget: the pool's size and shape, and how many requests run.
    """
    pages = min(budget.num_pages, -(-budget.max_sequence // budget.page_size), MOST_DEPTH)
    tracemalloc.start()
    try:
        cache, books = _weighed(lambda: PrefixCache(budget.num_pages, budget.page_size))
        before = tracemalloc.get_traced_memory()[0]
        prompts, _ = _weighed(lambda: _fill(cache, pages))
        kept = sum(8 * len(tokens) for tokens in prompts) + 28 * len(prompts)  # the prompts are not metadata
        tree = tracemalloc.get_traced_memory()[0] - before - kept
        sequences, tables = _weighed(lambda: _attach(cache, prompts, budget.max_running_requests))
    finally:
        tracemalloc.stop()
    assert cache.tree.num_nodes == budget.num_pages
    assert len(sequences) == budget.max_running_requests
    tables += budget.max_running_requests * pages * TABLE_ENTRY_BYTES
    pool = budget.max_total_tokens * budget.bytes_per_token
    total = books + tree + tables
    return {
        "pool_tokens": budget.max_total_tokens,
        "page_size": budget.page_size,
        "running_requests": budget.max_running_requests,
        "pool_bytes": pool,
        "ledger_bytes": books,
        "tree_bytes": tree,
        "page_table_bytes": tables,
        "share": round(total / pool, 6),
        "share_allowed": MOST_SHARE,
        "met": total <= MOST_SHARE * pool,
    }


def main() -> int:
    """Prints the figures of a model's default pool; 1 where they are missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.metadata", description=__doc__)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--page-size", type=int)
    parser.add_argument("--kv-dtype", choices=sorted(KV_DTYPES), default="float32")
    options = parser.parse_args()
    from runtime.model.config import ModelConfig
    from runtime.model.hub import resolve

    shape = ModelConfig.load(resolve(options.model))
    dtype = KV_DTYPES[options.kv_dtype]
    budget = derive(
        MemoryConfig(page_size=options.page_size, kv_dtype=options.kv_dtype),
        SchedulerConfig(),
        model_context=shape.max_position_embeddings,
        bytes_per_token=KVPool.bytes_per_token(shape.num_layers, shape.num_kv_heads, shape.head_dim, dtype),
        free_bytes=16 << 30,  # enough for the default pool, which is what is measured, not this machine
        weight_bytes=0,
    )
    found = measure(budget)
    print(json.dumps({"model": options.model, "kv_dtype": options.kv_dtype, **found}, indent=1))
    return int(not found["met"])


if __name__ == "__main__":
    raise SystemExit(main())
