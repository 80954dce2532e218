from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grammars import Matcher, Regex, Vocabulary, compile_spec, fill_masks, unpack


def naive_unpack(words: npt.NDArray[np.int32], vocab_size: int) -> list[list[bool]]:
    return [[bool(int(row[token // 32]) >> (token % 32) & 1) for token in range(vocab_size)] for row in words]


@given(st.integers(0, 4), st.integers(1, 5), st.integers(0, 31), st.integers(0, 2**32 - 1))
def test_unpack_equals_its_naive_twin(rows: int, width: int, missing: int, seed: int) -> None:
    words = np.random.default_rng(seed).integers(-(2**31), 2**31, (rows, width), np.int64).astype(np.int32)
    unpacked = unpack(words, width * 32 - missing)
    assert unpacked.dtype == np.bool_
    assert unpacked.tolist() == naive_unpack(words, width * 32 - missing)


def test_unpack_refuses_rows_that_are_too_short() -> None:
    with pytest.raises(ValueError, match="vocab_size: 33"):
        unpack(np.zeros((1, 1), np.int32), 33)


def test_each_row_is_its_matchers_mask_and_free_rows_are_all_ones(vocabulary: Vocabulary) -> None:
    matchers: list[Matcher | None] = [compile_spec(Regex(p), vocabulary).matcher() for p in ("a+", "[0-9]", "é|b")]
    matchers.insert(1, None)
    out = np.zeros((4, vocabulary.mask_words), np.int32)
    fill_masks(matchers, out)
    allowed = unpack(out, len(vocabulary))
    for matcher, row in zip(matchers, allowed, strict=True):
        assert row.tolist() == [matcher is None or matcher.fork().accept(token) for token in range(len(vocabulary))]
    with pytest.raises(ValueError, match="4 rows for 3"):
        fill_masks(matchers[:3], out)
