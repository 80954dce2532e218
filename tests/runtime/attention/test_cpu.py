"""The CPU kernel against the reference on random ragged batches."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.attention.base import KV_DTYPES, KVPool
from runtime.attention.cpu import CpuAttention
from runtime.attention.torch_attention import TorchAttention
from runtime.batch import ForwardBatch
from runtime.model.config import ModelConfig
from runtime.model.loader import tiny_config


def make_pool(config: ModelConfig, num_pages: int, page_size: int, seed: int, dtype: str = "float32") -> KVPool:
    pool = KVPool(
        num_layers=1,
        num_pages=num_pages,
        page_size=page_size,
        num_kv_heads=config.num_kv_heads,
        head_dim=config.head_dim,
        dtype=KV_DTYPES[dtype],
    )
    generator = torch.Generator().manual_seed(seed)
    keys, values = (torch.randn(pool.keys.shape[1:], generator=generator) for _ in range(2))
    pool.write(0, torch.arange(pool.num_slots), keys, values)
    return pool


def make_batch(shapes: list[tuple[int, int]], page_size: int, seed: int) -> tuple[ForwardBatch, int]:
    """`shapes`: (cached, new tokens) of each sequence, those with one new token last. Returns batch and page count."""
    generator = torch.Generator().manual_seed(seed)
    lengths = [cached + new for cached, new in shapes]
    width = max(-(-length // page_size) for length in lengths)
    num_pages = 1 + width * len(shapes)
    table = (1 + torch.randperm(num_pages - 1, generator=generator)).view(len(shapes), width).to(torch.int32)
    for row, length in enumerate(lengths):
        table[row, -(-length // page_size) :] = 0
    positions = torch.cat([torch.arange(cached, cached + new) for cached, new in shapes])
    starts = torch.tensor([0, *(new for _, new in shapes)]).cumsum(0).to(torch.int32)
    return ForwardBatch(
        token_ids=torch.zeros_like(positions),
        positions=positions,
        out_slots=torch.zeros_like(positions),
        query_starts=starts,
        context_lens=torch.tensor(lengths, dtype=torch.int32),
        page_table=table,
        num_decodes=sum(new == 1 for _, new in shapes),
        logit_rows=torch.empty(0, dtype=torch.int64),
        page_size=page_size,
    ), num_pages


SHAPES = st.lists(st.tuples(st.integers(0, 150), st.integers(1, 40)), min_size=1, max_size=6).map(
    lambda shapes: sorted(shapes, key=lambda shape: -shape[1])
)


@settings(max_examples=40, deadline=None)
@given(
    shapes=SHAPES,
    page_size=st.sampled_from([1, 4, 16, 64]),
    heads=st.sampled_from([(9, 3), (4, 4), (6, 1), (4, 2)]),
    head_dim=st.sampled_from([64, 16, 32, 40, 24, 6, 128]),
    seed=st.integers(0, 99),
    dtype=st.sampled_from(list(KV_DTYPES)),
)
def test_agrees_with_the_reference(
    shapes: list[tuple[int, int]], page_size: int, heads: tuple[int, int], head_dim: int, seed: int, dtype: str
) -> None:
    config = tiny_config(num_heads=heads[0], num_kv_heads=heads[1], head_dim=head_dim)
    batch, num_pages = make_batch(shapes, page_size, seed)
    pool = make_pool(config, num_pages, page_size, seed, dtype)
    # Queries as the model hands them over: a part of wider rows.
    queries = 3 * torch.randn(batch.num_tokens, heads[0] + 2 * heads[1], head_dim)[:, : heads[0]]
    results = []
    for backend in (CpuAttention(config), TorchAttention()):
        backend.prepare(batch)
        results.append(backend.attend(0, queries, pool))
    torch.testing.assert_close(results[0], results[1], atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("dtype", list(KV_DTYPES))
@pytest.mark.parametrize("page_size", [1, 16])
def test_a_query_has_the_same_bits_in_a_prompt_in_a_chunk_and_as_a_decode(page_size: int, dtype: str) -> None:
    config = tiny_config(num_heads=9, num_kv_heads=3, head_dim=64)
    whole, num_pages = make_batch([(0, 90)], page_size, 5)
    pool = make_pool(config, num_pages, page_size, 5, dtype)
    queries = torch.randn(90, 9, 64)
    backend = CpuAttention(config)
    backend.prepare(whole)
    expected = backend.attend(0, queries, pool)
    for first, end in ((0, 1), (31, 32), (89, 90), (40, 73)):
        part, _ = make_batch([(first, end - first)], page_size, 5)
        object.__setattr__(part, "page_table", whole.page_table)
        backend.prepare(part)
        assert torch.equal(backend.attend(0, queries[first:end].clone(), pool), expected[first:end])


def test_the_threads_share_of_the_work_does_not_show() -> None:
    config = tiny_config(num_heads=9, num_kv_heads=3, head_dim=64)
    batch, num_pages = make_batch([(100, 20), (3, 7), (40, 1), (90, 1), (0, 1)], 16, 2)
    pool = make_pool(config, num_pages, 16, 2)
    queries = torch.randn(batch.num_tokens, 9, 64)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            backend = CpuAttention(config)
            backend.prepare(batch)
            results.append(backend.attend(0, queries, pool))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


def test_what_lies_behind_a_sequence_in_its_last_page_is_not_seen() -> None:
    config = tiny_config(num_heads=4, num_kv_heads=2, head_dim=16)
    batch, num_pages = make_batch([(20, 3), (4, 1)], 16, 1)
    pool = make_pool(config, num_pages, 16, 1)
    queries = torch.randn(batch.num_tokens, 4, 16)
    backend = CpuAttention(config)
    backend.prepare(batch)
    expected = backend.attend(0, queries, pool)
    for sequence, length in enumerate((23, 5)):
        page = int(batch.page_table[sequence, length // 16])
        pool.keys[:, page * 16 + length % 16 : (page + 1) * 16] = float("nan")
        pool.values[:, page * 16 + length % 16 : (page + 1) * 16] = float("nan")
    assert torch.equal(backend.attend(0, queries, pool), expected)


def test_decodes_that_share_pages_have_the_bits_they_have_alone() -> None:
    config, page_size = tiny_config(), 4
    paths = [[1, 2, 3, 4, 5], [1, 2, 3, 4, 6], [1, 2, 3, 7, 8], [1, 2, 3, 7, 0], [9, 10, 11, 0, 0]]
    lengths = [19, 20, 18, 16, 9]
    for dtype in KV_DTYPES:
        pool = make_pool(config, 12, page_size, 1, dtype)
        queries = torch.randn(5, config.num_heads, config.head_dim, generator=torch.Generator().manual_seed(2))
        attention, results = CpuAttention(config), []
        for chosen in ([0, 1, 2, 3, 4], [4, 2, 0, 3, 1], [0], [1], [2], [3], [4]):
            attention.prepare(decodes([paths[i] for i in chosen], [lengths[i] for i in chosen], page_size))
            results.append(dict(zip(chosen, attention.attend(0, queries[chosen], pool), strict=True)))
        for alone in results[2:]:
            ((index, expected),) = alone.items()
            for together in results[:2]:
                assert torch.equal(together[index], expected)


def decodes(tables: list[list[int]], lengths: list[int], page_size: int) -> ForwardBatch:
    """One new token for each sequence."""
    zeros = torch.zeros(len(tables), dtype=torch.int64)
    return ForwardBatch(
        token_ids=zeros,
        positions=torch.tensor(lengths) - 1,
        out_slots=zeros,
        query_starts=torch.arange(len(tables) + 1, dtype=torch.int32),
        context_lens=torch.tensor(lengths, dtype=torch.int32),
        page_table=torch.tensor(tables, dtype=torch.int32),
        num_decodes=len(tables),
        logit_rows=torch.empty(0, dtype=torch.int64),
        page_size=page_size,
    )
