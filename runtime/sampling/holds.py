"""Holds: tokens that end a text are kept away until `min_new_tokens` are there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from runtime.sampling.row import SamplingRow

__all__ = ["Holds"]


class Holds:
    """The tokens `min_new_tokens` holds back in a batch's rows.

    Args:
        rows: (place in the batch, row) of every row that has `held_tokens`.
        vocab_size: V; held tokens beyond it do not exist and are skipped.
        device: where the logits are.
    """

    def __init__(self, rows: Sequence[tuple[int, SamplingRow]], vocab_size: int, device: torch.device) -> None:
        self._rows = rows
        self._device = device
        self._tokens = {
            place: [place * vocab_size + token for token in row.held_tokens if token < vocab_size]
            for place, row in rows
        }

    def apply(self, logits: torch.Tensor) -> None:
        """Sets held tokens of `logits` (float32 [R, V], masks applied) to -inf, unless a row has no others."""
        places = [place for place, row in self._rows if len(row.output_ids) < row.params.min_new_tokens]
        if not places:
            return
        held = [self._tokens[place] for place in places]
        sizes = torch.tensor([len(tokens) for tokens in held], device=self._device)
        index = torch.tensor([i for tokens in held for i in tokens], dtype=torch.int64, device=self._device)
        flat = logits.view(-1)
        before = flat[index]
        flat[index] = -torch.inf
        peaks = logits.amax(dim=1)[torch.tensor(places, device=self._device)]
        stuck = (peaks == -torch.inf).repeat_interleave(sizes)
        flat[index] = torch.where(stuck, before, flat[index])
