"""Penalties: logits of tokens that were there before are lowered (repetition, frequency, presence)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

if TYPE_CHECKING:
    from runtime.sampling.row import SamplingRow

__all__ = ["Penalties"]


class Penalties:
    """The penalties of a batch's rows, applied to the tokens each of them has seen and to no other.

    Args:
        rows: (place in the batch, row) of every row that has a penalty.
        vocab_size: V.
        device: where the logits are.
    """

    def __init__(self, rows: Sequence[tuple[int, SamplingRow]], vocab_size: int, device: torch.device) -> None:
        self._rows = [(row, row.counts) for _, row in rows if row.counts is not None]
        self._starts = np.array([place * vocab_size for place, _ in rows], dtype=np.int64)
        params = [row.params for _, row in rows]
        table = [(p.repetition_penalty, p.frequency_penalty, p.presence_penalty) for p in params]
        self._table = np.array(table, dtype=np.float32)
        self._device = device

    def apply(self, logits: torch.Tensor) -> None:
        """Changes `logits` (float32 [R, V]) in place: first repetition, then frequency and presence.

        Repetition (Keskar et al. 2019, CTRL) divides positive logits and multiplies negative ones, over prompt and
        output; frequency subtracts once per generated occurrence and presence once for any (OpenAI's definition).
        """
        for row, counts in self._rows:
            counts.read(row.output_ids)
        sizes = [len(counts.tokens) for _, counts in self._rows]
        where = np.concatenate([counts.tokens for _, counts in self._rows]) + np.repeat(self._starts, sizes)
        count = self._tensor(np.concatenate([counts.counts for _, counts in self._rows]))
        repetition, frequency, presence = self._tensor(np.repeat(self._table, sizes, axis=0).T)
        index = self._tensor(where)
        flat = logits.view(-1)
        value = flat[index]
        value = torch.where(value > 0, value / repetition, value * repetition)
        value -= frequency * count + presence * (count > 0)
        flat[index] = value

    def _tensor(self, array: npt.NDArray[np.generic]) -> torch.Tensor:
        return torch.from_numpy(array).to(self._device)
