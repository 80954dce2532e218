from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import InvalidParameter, RequestError, StepFailed
from runtime.sampling.noise import Noise
from runtime.sampling.sampler import Sampler

SLACK = 1e-5


def edited(logits, row, ends, allow):
    """One row's logits after everything before temperature, in float64 and one token at a time."""
    x = logits.astype(np.float64)
    p = row.params
    for token, bias in p.logit_bias.items():
        x[token] += bias
    seen = set(row.output_ids)
    if p.repetition_penalty != 1.0:
        for token in seen | set(row.test_prompt):
            x[token] = x[token] / p.repetition_penalty if x[token] > 0 else x[token] * p.repetition_penalty
    for token in seen:
        x[token] -= p.frequency_penalty * row.output_ids.count(token) + p.presence_penalty
    held = set(p.stop_token_ids) | (set() if p.ignore_eos else set(ends))
    allowed = set(range(len(x))) if allow is None else set(allow)
    if len(row.output_ids) < p.min_new_tokens and allowed - held:
        allowed -= held
    return np.array([value if token in allowed else -math.inf for token, value in enumerate(x)])


def kept_weights(x, params, slack):
    """Unnormalised probabilities after temperature and filters; `slack` moves the filters' borders."""
    with np.errstate(under="ignore"):
        weights = np.exp((x - x.max()) / params.temperature)
    ordered = np.sort(weights)[::-1]
    floor = params.min_p * (1 + slack)
    if params.top_k != -1 and params.top_k <= len(x):
        floor = max(floor, ordered[params.top_k - 1])
    if params.top_p < 1.0:
        before = np.cumsum(ordered) - ordered
        kept = max(1, int((before < params.top_p * weights.sum() * (1 + slack)).sum()))
        floor = max(floor, ordered[kept - 1])
    return np.where(weights >= floor * (1 - 1e-9), weights, 0.0)


def possible(token, x, params, uniform):
    """Whether inverting the distribution function at `uniform` gives `token`, up to float32's rounding."""
    for slack in (0.0, SLACK, -SLACK):
        weights = kept_weights(x, params, slack)
        ends = np.cumsum(weights) / weights.sum()
        begin = ends[token - 1] if token else 0.0
        if weights[token] > 0 and begin - SLACK <= uniform <= ends[token] + SLACK:
            return True
    return False


TOKENS = st.integers(0, 9)
ROWS = st.fixed_dictionaries(
    {
        "temperature": st.sampled_from([0.0, 0.0, 0.3, 1.0, 2.5]),
        "top_k": st.sampled_from([-1, -1, 1, 3, 300, 5000]),
        "top_p": st.sampled_from([1.0, 1.0, 0.9, 0.5, 0.01]),
        "min_p": st.sampled_from([0.0, 0.0, 0.1, 0.9]),
        "repetition_penalty": st.sampled_from([1.0, 1.0, 1.5, 0.7]),
        "frequency_penalty": st.sampled_from([0.0, 0.5, -0.5]),
        "presence_penalty": st.sampled_from([0.0, 1.0]),
        "min_new_tokens": st.sampled_from([0, 2, 5]),
        "ignore_eos": st.booleans(),
        "stop_token_ids": st.lists(TOKENS, max_size=2).map(tuple),
        "logit_bias": st.dictionaries(TOKENS, st.floats(-3, 3), max_size=2),
        "prompt": st.lists(TOKENS, max_size=5),
        "output": st.lists(TOKENS, max_size=5),
        "ends": st.sets(TOKENS, max_size=2),
        "allow": st.none() | st.sets(TOKENS, min_size=1, max_size=9),
        "seed": st.integers(0, 2**64 - 1),
    }
)


@settings(max_examples=150, deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=5), st.sampled_from([10, 70, 700]), st.integers(0, 2**32 - 1), st.booleans())
def test_every_row_is_what_a_plain_sampler_gives(make_row, wanted, vocab_size, noise_seed, coarse):
    logits = np.random.default_rng(noise_seed).normal(0, 3, (len(wanted), vocab_size)).astype(np.float32)
    if coarse:
        logits = np.round(logits)  # many ties
    rows = [make_row(**options) for options in wanted]
    sampler = Sampler(vocab_size)
    for _ in range(2):
        result = sampler.sample(torch.from_numpy(logits.copy()), rows)
        assert result.errors == {}
        for row, options, token, line in zip(rows, wanted, result.tokens, logits, strict=True):
            row_view = type("Row", (), {"params": row.params, "output_ids": row.output_ids})
            row_view.test_prompt = options["prompt"]
            x = edited(line, row_view, options["ends"], options["allow"])
            if row.params.temperature == 0.0 or row.params.top_k == 1:
                assert x[token] >= x.max() - SLACK
                if row.counts is None and not row.params.logit_bias:  # nothing was rounded
                    assert token == x.argmax()
            else:
                uniform = Noise([row.seed]).uniform([len(row.output_ids)])[0]
                assert possible(token, x, row.params, uniform)
            row.output_ids.append(token)


def test_greedy_takes_the_lowest_of_equal_tokens(make_row):
    logits = torch.zeros(3, 5000)
    logits[0, [77, 4000]] = 1.0
    logits[1, [4999, 3]] = 2.0
    rows = [make_row(temperature=0.0), make_row(temperature=0.0), make_row(temperature=0.7, top_k=1)]
    assert Sampler(5000).sample(logits, rows).tokens == [77, 3, 0]


def test_a_seed_gives_the_same_tokens_alone_and_anywhere_in_any_batch(make_row):
    generator = torch.Generator().manual_seed(5)
    script = [torch.randn(1, 700, generator=generator) * 2 for _ in range(20)]

    def text(before, after, **params):
        row = make_row(seed=11, **params)
        others = [make_row(seed=i, temperature=(i % 3) / 2, top_p=1 - i / 20) for i in range(before + after)]
        rows = [*others[:before], row, *others[before:]]
        sampler = Sampler(700)
        for logits in script:
            batch = torch.randn(len(rows), 700, generator=generator)
            batch[before] = logits
            for each, token in zip(rows, sampler.sample(batch, rows).tokens, strict=True):
                each.output_ids.append(token)
        return row.output_ids

    for params in ({}, {"top_p": 0.8}, {"top_k": 20, "min_p": 0.05}, {"repetition_penalty": 1.2}, {"temperature": 0}):
        alone = text(0, 0, **params)
        assert text(3, 0, **params) == alone
        assert text(1, 6, **params) == alone
    assert text(0, 0) != text(0, 0, temperature=0)


def test_a_changed_batch_gets_a_new_plan(make_row):
    logits = torch.tensor([[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]])
    plain, barred = make_row(temperature=0.0), make_row(temperature=0.0, allow={1})
    sampler = Sampler(3)
    assert sampler.sample(logits.clone(), [plain, barred]).tokens == [2, 1]
    assert sampler.sample(logits.clone(), [barred, plain]).tokens == [1, 2]
    assert sampler.sample(logits[:1].clone(), [plain]).tokens == [2]


def test_the_last_new_token_is_penalised_at_once(make_row):
    row = make_row(temperature=0.0, presence_penalty=2.0)
    sampler, logits = Sampler(3), torch.tensor([[1.0, 2.0, 1.5]])
    for _ in range(3):
        row.output_ids.extend(sampler.sample(logits.clone(), [row]).tokens)
    assert row.output_ids == [1, 2, 0]


def test_min_new_tokens_holds_ends_back_unless_the_mask_leaves_nothing_else(make_row):
    logits = torch.tensor([[0.0, 1.0, 5.0]] * 4)
    common = {"temperature": 0.0, "min_new_tokens": 2, "ends": {2}}
    rows = [
        make_row(**common, output=[0]),
        make_row(**common, output=[0, 0]),
        make_row(**common, allow={2}),
        make_row(**common, ignore_eos=True),
    ]
    assert Sampler(3).sample(logits, rows).tokens == [1, 2, 2, 2]


def test_a_bad_row_harms_no_other(make_row):
    class Broken:
        def mask_into(self, row):
            raise RuntimeError("broken grammar")

    broken = make_row(temperature=0.0)
    broken.matcher = Broken()
    rows = [
        make_row(temperature=0.0),
        make_row(allow=()),
        make_row(top_logprobs=1),
        broken,
        make_row(logit_bias={300: 1.0}),
        make_row(temperature=0.0, top_p=0.5),
        make_row(seed=3, top_p=0.5, top_logprobs=2),
    ]
    logits = torch.zeros(7, 300)
    logits[:, 260] = 20.0
    logits[2, 5] = math.nan
    logits[5, 7] = math.inf
    result = Sampler(300).sample(logits, rows)
    assert result.tokens == [260, -1, -1, -1, -1, -1, 260]
    kinds = {place: type(error) for place, error in result.errors.items()}
    assert kinds == {1: RequestError, 2: StepFailed, 3: RuntimeError, 4: InvalidParameter, 5: StepFailed}
    assert [logprob is None for logprob in result.logprobs] == [True] * 6 + [False]
    assert "no token is allowed" in str(result.errors[1])


def test_logprobs_are_the_models_own(make_row):
    rows = [
        make_row(temperature=0.0, top_logprobs=2, allow={0}, logit_bias={0: 3.0}),
        make_row(temperature=0.0),
        make_row(temperature=0.0, top_logprobs=0),
    ]
    logits = torch.tensor([[0.0, 1.0, 2.0, 2.0]] * 3)
    plain = logits[0].double().log_softmax(0).tolist()
    first, second, third = Sampler(4).sample(logits, rows).logprobs
    assert second is None
    assert first.token == 0
    assert first.logprob == pytest.approx(plain[0], abs=1e-6)
    assert [token for _, token in first.top] == [2, 3]
    assert first.top[0][0] == pytest.approx(plain[2], abs=1e-6)
    assert (third.token, third.top) == (2, ())


def test_an_empty_batch_and_a_wrong_shape():
    sampler = Sampler(5)
    assert sampler.sample(torch.zeros(0, 5), []).tokens == []
    with pytest.raises(ValueError, match=r"logits: shape \(1, 4\) is not \(0, 5\)"):
        sampler.sample(torch.zeros(1, 4), [])
