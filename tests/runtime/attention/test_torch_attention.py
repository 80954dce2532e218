"""The reference against torch's own attention on one sequence."""

from __future__ import annotations

import pytest
import torch

from runtime.attention.base import KVPool
from runtime.attention.torch_attention import TorchAttention, slots_of
from runtime.batch import ForwardBatch


def test_slots_follow_the_pages() -> None:
    assert slots_of(torch.tensor([3, 1, 0], dtype=torch.int32), 6, 4).tolist() == [12, 13, 14, 15, 4, 5]


@pytest.mark.parametrize("page_size", [1, 16])
@pytest.mark.parametrize("cached", [0, 13])
def test_is_causal_grouped_attention_over_the_pages(page_size: int, cached: int) -> None:
    length = 20
    pages = 1 + torch.randperm(-(-length // page_size))
    pool = KVPool(num_layers=1, num_pages=len(pages) + 1, page_size=page_size, num_kv_heads=2, head_dim=8)
    keys, values, queries = torch.randn(length, 2, 8), torch.randn(length, 2, 8), torch.randn(length, 4, 8)
    slots = slots_of(pages, length, page_size)
    for stored, new in zip(pool.layer(0), (keys, values), strict=True):
        stored[slots] = new
    batch = ForwardBatch(
        token_ids=torch.zeros(length - cached, dtype=torch.int64),
        positions=torch.arange(cached, length),
        out_slots=torch.zeros(length - cached, dtype=torch.int64),
        query_starts=torch.tensor([0, length - cached], dtype=torch.int32),
        context_lens=torch.tensor([length], dtype=torch.int32),
        page_table=pages.to(torch.int32).unsqueeze(0),
        num_decodes=0,
        logit_rows=torch.empty(0, dtype=torch.int64),
        page_size=page_size,
    )
    attention = TorchAttention()
    attention.prepare(batch)
    result = attention.attend(0, queries[cached:], pool)
    expected = torch.nn.functional.scaled_dot_product_attention(
        *(x.transpose(0, 1) for x in (queries, keys, values)), is_causal=True, enable_gqa=True
    )
    torch.testing.assert_close(result, expected.transpose(0, 1)[cached:], atol=1e-5, rtol=0)
