"""GrammarMasks: tokens a row's grammar does not allow get no probability."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from grammars.mask import unpack

if TYPE_CHECKING:
    from runtime.sampling.row import SamplingRow

__all__ = ["GrammarMasks"]

# what each value of a mask's byte adds to its eight logits; adding takes the same time for every mask, where
# filling by booleans takes ten times as long for masks whose bits no branch predictor can guess
_ADDENDS = np.where(unpack(np.arange(256, dtype=np.int32)[:, None], 8), np.float32(0.0), np.float32(-np.inf))
_ADDENDS.setflags(write=False)


class GrammarMasks:
    """The masks of a batch's rows that follow a grammar.

    Args:
        rows: (place in the batch, row) of every row that has a matcher.
        vocab_size: V.
        device: where the logits are.
    """

    def __init__(self, rows: Sequence[tuple[int, SamplingRow]], vocab_size: int, device: torch.device) -> None:
        self._rows = [(place, row.matcher) for place, row in rows if row.matcher is not None]
        self._words = np.zeros((len(self._rows), -(-vocab_size // 32)), dtype="<i4")
        # reused every step: fresh pages would cost more than the arithmetic
        self._addends = np.empty((len(self._rows), 4 * self._words.shape[1], 8), dtype=np.float32)
        self._index = torch.tensor([place for place, _ in self._rows], dtype=torch.int64, device=device)
        self._vocab_size = vocab_size

    def apply(self, logits: torch.Tensor) -> dict[int, Exception]:
        """Sets what is not allowed to -inf in `logits` (float32 [R, V]); returns the rows whose matcher raised."""
        errors: dict[int, Exception] = {}
        for line, (place, matcher) in enumerate(self._rows):
            try:
                matcher.mask_into(self._words[line])
            except Exception as error:  # whatever one request's grammar does, the other rows go on
                errors[place] = error
        np.take(_ADDENDS, self._words.view(np.uint8), axis=0, out=self._addends, mode="clip")
        addends = torch.from_numpy(self._addends).view(len(self._rows), -1)[:, : self._vocab_size].to(logits.device)
        if len(self._rows) == len(logits):
            logits += addends
        else:
            logits.index_add_(0, self._index, addends)
        return errors
