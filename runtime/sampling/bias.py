"""LogitBias: what requests add to the logits of single tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from runtime.sampling.row import SamplingRow

__all__ = ["LogitBias"]


class LogitBias:
    """The `logit_bias` of a batch's rows, gathered once.

    Args:
        rows: (place in the batch, row) of every row that has a bias; token ids are below `vocab_size`.
        vocab_size: V.
        device: where the logits are.
    """

    def __init__(self, rows: Sequence[tuple[int, SamplingRow]], vocab_size: int, device: torch.device) -> None:
        pairs = [(place * vocab_size + t, bias) for place, row in rows for t, bias in row.params.logit_bias.items()]
        self._index = torch.tensor([index for index, _ in pairs], dtype=torch.int64, device=device)
        self._bias = torch.tensor([bias for _, bias in pairs], dtype=torch.float32, device=device)

    def apply(self, logits: torch.Tensor) -> None:
        """Adds to `logits` (float32 [R, V]) in place."""
        logits.view(-1)[self._index] += self._bias
