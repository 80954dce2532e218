from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.sampling.logprobs import known_logprobs


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 150), st.integers(1, 9), st.integers(0, 12), st.integers(0, 2**32 - 1))
def test_known_logprobs_are_log_softmax(num, vocab_size, top, seed):
    rng = np.random.default_rng(seed)
    logits = np.round(rng.normal(0, 3, (num, vocab_size)) * 2) / 2
    ids = rng.integers(0, vocab_size, num).tolist()
    found = known_logprobs(torch.from_numpy(logits), ids, top)
    assert [each.token for each in found] == ids
    for each, line in zip(found, logits, strict=True):
        plain = line - line.max() - np.log(np.exp(line - line.max()).sum())
        assert each.logprob == pytest.approx(plain[each.token], abs=1e-5)
        best = sorted(plain.tolist(), reverse=True)[:top]
        assert [value for value, _ in each.top] == pytest.approx(best, abs=1e-5)
        assert [plain[token] for _, token in each.top] == pytest.approx(best, abs=1e-5)
        assert list(each.top) == sorted(each.top, key=lambda pair: (-pair[0], pair[1]))
        assert len({token for _, token in each.top}) == min(top, vocab_size)


def test_half_precision_logits_are_summed_in_float32():
    logits = torch.zeros(1, 40_000, dtype=torch.bfloat16)
    assert known_logprobs(logits, [7], 0)[0].logprob == pytest.approx(-np.log(40_000), abs=1e-4)
