"""Logits under masks: our kernels against plain torch."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.sampling.masked import CpuMasked, TorchMasked, best_masked

SHAPES = st.tuples(st.integers(1, 5), st.sampled_from([1, 15, 16, 31, 32, 64, 97, 700, 1024]))


def packed(allowed):
    rows, vocab_size = allowed.shape
    bits = np.zeros((rows, -(-vocab_size // 32) * 32), dtype=np.bool_)
    bits[:, :vocab_size] = allowed
    bits[:, vocab_size:] = True  # what lies beyond the vocabulary must not be looked at
    return np.packbits(bits, axis=1, bitorder="little").view(np.int32)


@settings(deadline=None, max_examples=80)
@given(SHAPES, st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.02, 0.5, 0.98, 1.0]), st.booleans())
def test_kernels_and_torch_agree(shape, seed, share, coarse):
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 3, shape).astype(np.float32)
    if coarse:  # many ties, and some that are not possible at all
        values = np.where(rng.random(shape) < 0.1, -np.inf, np.round(values)).astype(np.float32)
    allowed = rng.random(shape) < share
    logits, words = torch.from_numpy(values), packed(allowed)
    want = np.where(allowed, values, -np.inf)
    for masked in (CpuMasked(), TorchMasked()):
        peaks, places = masked.peaks(logits, words)
        np.testing.assert_array_equal(peaks.numpy(), want.max(axis=1))
        np.testing.assert_array_equal(places.numpy(), want.argmax(axis=1))
        finite = np.flatnonzero(np.isfinite(peaks.numpy()))
        index = torch.from_numpy(rng.permutation(finite))
        out = torch.full((len(index), shape[1] + 3), 7.0)
        masked.lower(logits, words, index, peaks, out)
        chosen = want[index.numpy()]
        np.testing.assert_array_equal(out[:, : shape[1]].numpy(), chosen - chosen.max(axis=1, initial=-np.inf)[:, None])
        assert (out[:, shape[1] :] == 7.0).all()
    np.testing.assert_array_equal(logits.numpy(), values)


@pytest.mark.parametrize("place", [3, 33])  # within whole vectors, and behind them
@pytest.mark.parametrize("masked", [CpuMasked(), TorchMasked()], ids=lambda masked: masked.name)
def test_only_what_is_allowed_is_looked_at(masked, place):
    logits = torch.zeros(3, 34)
    logits[:, place] = math.nan
    logits[2, 0] = math.inf
    allowed = np.ones((3, 34), dtype=np.bool_)
    allowed[0, place] = False
    peaks, places = masked.peaks(logits, packed(allowed))
    assert (peaks[0].item(), places[0].item()) == (0.0, 0)
    assert math.isnan(peaks[1])
    assert math.isnan(peaks[2])


def test_kernels_where_there_are_some():
    assert best_masked("cpu").name == "cpu"
    assert best_masked("cuda").name == "torch"
