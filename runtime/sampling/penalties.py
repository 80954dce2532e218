"""Penalties: logits of tokens that were there before are lowered (repetition, frequency, presence)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

if TYPE_CHECKING:
    from runtime.sampling.row import SamplingRow

__all__ = ["Penalties", "TokenCounts"]


class TokenCounts:
    """The distinct tokens of one request and how often each was generated; prompt tokens start at 0.

    Kept as a list of distinct tokens rather than one count per vocabulary entry: a text has far fewer tokens than a
    vocabulary, and so a step touches only those.

    Args:
        prompt_ids: tokens that count as seen but not as generated.
    """

    def __init__(self, prompt_ids: Sequence[int]) -> None:
        seen = np.unique(np.asarray(prompt_ids, dtype=np.int64))
        self._place: dict[int, int] = {token: place for place, token in enumerate(seen.tolist())}
        self._tokens = np.zeros(max(64, 2 * len(seen)), dtype=np.int64)
        self._tokens[: len(seen)] = seen
        self._counts = np.zeros(len(self._tokens), dtype=np.float32)
        self._num_read = 0

    def read(self, output_ids: Sequence[int]) -> None:
        """Counts the tokens appended to `output_ids` since the last call."""
        for token in output_ids[self._num_read :]:
            place = self._place.setdefault(token, len(self._place))
            if place == len(self._tokens):
                self._tokens = np.concatenate((self._tokens, np.zeros_like(self._tokens)))
                self._counts = np.concatenate((self._counts, np.zeros_like(self._counts)))
            self._tokens[place] = token
            self._counts[place] += 1.0
        self._num_read = len(output_ids)

    @property
    def tokens(self) -> npt.NDArray[np.int64]:
        """The distinct tokens, int64 [n]."""
        return self._tokens[: len(self._place)]

    @property
    def counts(self) -> npt.NDArray[np.float32]:
        """How often each of `tokens` was generated, float32 [n]."""
        return self._counts[: len(self._place)]


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
