"""The step as one function, against the same step one kernel at a time: the same bits."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.attention import registry
from runtime.attention.base import KVPool
from runtime.batch import ForwardBatch
from runtime.model.job import PHASES
from runtime.model.llama import Llama
from runtime.model.loader import random_model, tiny_config

PAGE = 4
SHAPE = {"hidden_size": 96, "intermediate_size": 192, "num_heads": 6, "num_kv_heads": 3}
"""Both 32 and 48, the outputs of a panel in one format and another, divide the hidden size."""


def make_batch(shapes: list[tuple[int, int, int]], seed: int) -> ForwardBatch:
    """`shapes`: (cached tokens, new tokens, how many of the last have logits) of each sequence, decodes last."""
    generator = torch.Generator().manual_seed(seed)
    lengths = [cached + new for cached, new, _ in shapes]
    width = max(-(-length // PAGE) for length in lengths)
    table = (1 + torch.randperm(width * len(shapes), generator=generator)).view(len(shapes), width).to(torch.int32)
    positions = torch.cat([torch.arange(cached, cached + new) for cached, new, _ in shapes])
    owners = torch.cat([torch.full((new,), index) for index, (_, new, _) in enumerate(shapes)])
    starts = torch.tensor([0, *(new for _, new, _ in shapes)]).cumsum(0)
    wanted = [range(int(end) - count, int(end)) for (_, _, count), end in zip(shapes, starts[1:], strict=True)]
    rows = torch.tensor([row for part in wanted for row in part], dtype=torch.int64)
    return ForwardBatch(
        token_ids=torch.randint(512, (len(positions),), generator=generator),
        positions=positions,
        out_slots=table[owners, positions // PAGE].to(torch.int64) * PAGE + positions % PAGE,
        query_starts=starts.to(torch.int32),
        context_lens=torch.tensor(lengths, dtype=torch.int32),
        page_table=table,
        num_decodes=sum(new == 1 for _, new, _ in shapes),
        logit_rows=rows[torch.randperm(len(rows), generator=generator)],
        page_size=PAGE,
    )


def run(model: Llama, batch: ForwardBatch, seed: int, *, as_one: bool) -> tuple[torch.Tensor, KVPool]:
    config = model.config
    pool = KVPool(
        num_layers=config.num_layers,
        num_pages=1 + batch.page_table.numel(),
        page_size=PAGE,
        num_kv_heads=config.num_kv_heads,
        head_dim=config.head_dim,
    )
    generator = torch.Generator().manual_seed(seed)
    for store in (pool.keys, pool.values):
        store.copy_(torch.randn(store.shape, generator=generator))
    attention, step = registry.create("cpu", config, PAGE), model._step
    assert step is not None
    try:
        model._step = step if as_one else None
        return model.forward(batch, pool, attention), pool
    finally:
        model._step = step


SHAPES = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 30), st.integers(0, 2)), min_size=1, max_size=7).map(
    lambda shapes: sorted(((c, n, min(n, w)) for c, n, w in shapes), key=lambda shape: -shape[1])
)
MODELS = {name: random_model(tiny_config(**SHAPE), 3, weight_format=name) for name in ("int8", "float32")}


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=30, deadline=None)
@given(shapes=SHAPES, seed=st.integers(0, 99))
def test_one_function_gives_the_bits_of_one_kernel_at_a_time(
    name: str, shapes: list[tuple[int, int, int]], seed: int
) -> None:
    batch = make_batch(shapes, seed)
    (found, pool), (expected, plain) = (run(MODELS[name], batch, seed, as_one=flag) for flag in (True, False))
    assert torch.equal(found, expected)
    assert torch.equal(pool.keys, plain.keys)
    assert torch.equal(pool.values, plain.values)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_any_number_of_threads_gives_the_same_bits(threads: int) -> None:
    batch = make_batch([(5, 17, 2), (0, 6, 1), (30, 1, 1), (2, 1, 1)], 1)
    expected = run(MODELS["int8"], batch, 1, as_one=False)[0]
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        assert torch.equal(run(MODELS["int8"], batch, 1, as_one=True)[0], expected)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("name", MODELS)
def test_biases_are_added(name: str) -> None:
    biased = random_model(tiny_config(**SHAPE, attention_bias=True, mlp_bias=True), 3, weight_format=name)
    batch = make_batch([(5, 9, 2), (30, 1, 1)], 1)
    found, expected = (run(biased, batch, 1, as_one=flag)[0] for flag in (True, False))
    assert torch.equal(found, expected)


def test_a_model_that_is_not_in_panels_or_not_divided_by_them_is_computed_kernel_by_kernel() -> None:
    assert random_model(tiny_config(**SHAPE), 3, weight_format="float32-torch")._step is None
    assert random_model(tiny_config(hidden_size=80, num_heads=5, num_kv_heads=5), 3)._step is None


def test_a_profile_tells_the_share_of_every_phase() -> None:
    model, batch = MODELS["int8"], make_batch([(5, 9, 2), (30, 1, 1)], 1)
    assert model._step is not None
    shares = model._step.profile(lambda: run(model, batch, 1, as_one=True))
    assert set(shares) == {*PHASES, "head"}
    assert sum(shares.values()) == pytest.approx(1.0)
    assert min(shares.values()) >= 0
    with pytest.raises(ValueError, match="no whole step was run"):
        model._step.profile(lambda: None)
