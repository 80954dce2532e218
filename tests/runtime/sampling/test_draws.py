from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.sampling.draws import Draws, _invert

CPU = torch.device("cpu")


def drawn(make_row, logits, num, **params):
    """`num` draws of different seeds from one row of logits."""
    rows = [make_row(seed=seed, **params) for seed in range(num)]
    draws = Draws(list(enumerate(rows)), num, len(logits), CPU)
    batch = logits.expand(num, -1).contiguous()
    return draws.draw(batch, batch.amax(dim=1)).numpy()


@pytest.mark.parametrize("params", [{"temperature": 1.3}, {"temperature": 1.3, "top_p": 0.9}, {"top_k": 40}])
def test_frequencies_follow_the_distribution(make_row, params):
    num = 8000
    logits = torch.randn(600, generator=torch.Generator().manual_seed(3)) * 2
    weights = (logits.double() / params.get("temperature", 1.0)).softmax(0).numpy()
    order = np.argsort(-weights)
    if "top_p" in params:
        weights[order[(np.cumsum(weights[order]) - weights[order]) >= params["top_p"]]] = 0.0
    if "top_k" in params:
        weights[order[params["top_k"] :]] = 0.0
    expected = weights / weights.sum() * num
    counts = np.bincount(drawn(make_row, logits, num, **params), minlength=600)
    assert counts[expected == 0].sum() == 0
    common = expected >= 5
    observed = np.append(counts[common], counts[~common].sum())
    wanted = np.append(expected[common], expected[~common].sum())
    wanted, observed = wanted[wanted > 0], observed[wanted > 0]
    chi_square = ((observed - wanted) ** 2 / wanted).sum()
    freedom = len(wanted) - 1
    assert chi_square < freedom + 5 * np.sqrt(2 * freedom)  # five standard deviations above the mean


@pytest.mark.parametrize("top_k", [100, 256, 257, 700])
def test_top_k_keeps_exactly_k_distinct_values_beyond_the_shortlist(make_row, top_k):
    logits = torch.randperm(1000, generator=torch.Generator().manual_seed(1)).float() / 1e4  # nearly flat
    tokens = drawn(make_row, logits, 4000, top_k=top_k)
    likeliest = set(logits.topk(top_k).indices.tolist())
    assert set(tokens.tolist()) <= likeliest
    assert len(set(tokens.tolist())) > 0.9 * min(top_k, 700) * (1 - np.exp(-4000 / top_k))


def test_top_p_beyond_the_shortlist(make_row):
    logits = torch.zeros(1000)
    logits[:500] = 1e-3  # 250 of 500 tied tokens would do, and ties are kept together
    assert drawn(make_row, logits, 4000, top_p=0.25).max() < 500
    assert drawn(make_row, logits, 4000, top_p=0.75).max() >= 500


@pytest.mark.parametrize("temperature", [1e-4, 1e38, 1e300])
def test_extreme_temperatures(make_row, temperature):
    logits = torch.tensor([-1e30, 0.0, 1.0, -torch.inf])
    tokens = set(drawn(make_row, logits, 200, temperature=temperature).tolist())
    assert tokens == ({2} if temperature < 1 else {0, 1, 2})


WEIGHTS = st.lists(st.sampled_from([0.0, 0.0, 1e-44, 1e-20, 1e-7, 0.3, 1.0]), min_size=1, max_size=12)
UNIFORMS = st.sampled_from([0.0, 2.0**-53, 1e-9, 0.5, 1 - 1e-9, 1 - 2.0**-53]) | st.floats(0, 1 - 2.0**-53)


@settings(max_examples=300, deadline=None)
@given(WEIGHTS, st.integers(0, 755), UNIFORMS)
def test_a_token_of_weight_zero_is_never_drawn(values, start, uniform):
    weights = torch.zeros(1, 768)
    weights[0, start : start + len(values)] = torch.tensor(values)
    token = _invert(weights, torch.tensor([uniform], dtype=torch.float64)).item()
    if any(values):
        assert weights[0, token] > 0
        ends = np.cumsum(weights[0].double().numpy()) / weights[0].double().sum().item()
        assert ends[token] >= uniform - 1e-6
        assert (ends[token - 1] if token else 0.0) <= uniform + 1e-6


def test_a_tail_token_of_tiny_probability_can_be_drawn():
    weights = torch.zeros(1, 512)
    weights[0, 0], weights[0, 511] = 1.0, 1e-12
    assert _invert(weights, torch.tensor([1 - 2.0**-53], dtype=torch.float64)).item() == 511
    assert _invert(weights, torch.tensor([1 - 1e-11], dtype=torch.float64)).item() == 0
