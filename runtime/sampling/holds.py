"""Holds: tokens that end a text are kept away until `min_new_tokens` are there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from runtime.sampling.row import SamplingRow

__all__ = ["hold_back"]


def hold_back(rows: Sequence[SamplingRow], words: npt.NDArray[np.int32], vocab_size: int) -> None:
    """Takes the held tokens of rows that are too short yet out of their masks, unless nothing else is allowed.

    Args:
        rows: R rows.
        words: int32 [R, ceil(V / 32)], their masks; changed in place.
        vocab_size: V; held tokens beyond it do not exist and are skipped.
    """
    for row, line in zip(rows, words, strict=True):
        if row.is_held:
            _clear(line, [token for token in row.held_tokens if token < vocab_size], vocab_size)


def _clear(line: npt.NDArray[np.int32], tokens: Sequence[int], vocab_size: int) -> None:
    if vocab_size % 32:
        line[-1] &= np.int32((1 << vocab_size % 32) - 1)
    before = line.copy()
    bits = line.view(np.uint32)
    for token in tokens:
        bits[token >> 5] &= np.uint32(~(1 << (token & 31)) & 0xFFFFFFFF)
    if not line.any():
        line[:] = before
