"""Logprobs: log probabilities of tokens under the model's own distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from runtime.handle import TokenLogprob

if TYPE_CHECKING:
    from runtime.sampling.row import SamplingRow

__all__ = ["Logprobs", "known_logprobs"]

_ROWS_AT_ONCE = 64  # bounds the memory of a long prompt's log_softmax


class Logprobs:
    """The log probabilities a batch's rows ask for.

    Args:
        rows: (place in the batch, row) of every row that asks.
        num_rows: R.
        device: where the logits are.
    """

    def __init__(self, rows: Sequence[tuple[int, SamplingRow]], num_rows: int, device: torch.device) -> None:
        self._places = [place for place, _ in rows]
        self._tops = [row.top_logprobs or 0 for _, row in rows]
        self._index = torch.tensor(self._places, dtype=torch.int64, device=device)
        self._num_rows = num_rows

    def capture(self, logits: torch.Tensor) -> torch.Tensor:
        """log_softmax of the asking rows, before anything else changes `logits` (float32 [R, V])."""
        return logits[self._index].log_softmax(dim=1)

    def of(self, captured: torch.Tensor, tokens: Sequence[int]) -> list[TokenLogprob | None]:
        """What was asked, per row of the batch, for the R chosen `tokens`; None for rows that did not ask.

        A token of -1 (the row failed) gives None too.
        """
        chosen = [tokens[place] for place in self._places]
        found = _select(captured, [max(token, 0) for token in chosen], self._tops)
        result: list[TokenLogprob | None] = [None] * self._num_rows
        for place, token, logprob in zip(self._places, chosen, found, strict=True):
            result[place] = logprob if token >= 0 else None
        return result


def known_logprobs(logits: torch.Tensor, next_ids: Sequence[int], top: int) -> list[TokenLogprob]:
    """Log probability of each of `next_ids` given the logits of the position before it.

    Args:
        logits: [N, V], any floating type; row i predicts next_ids[i].
        next_ids: N token ids.
        top: how many of the likeliest tokens to add, best first; at most V of them.
    """
    result: list[TokenLogprob] = []
    for start in range(0, len(next_ids), _ROWS_AT_ONCE):
        ids = next_ids[start : start + _ROWS_AT_ONCE]
        rows = logits[start : start + len(ids)].float().log_softmax(dim=1)
        result += _select(rows, ids, [top] * len(ids))
    return result


def _select(logprobs: torch.Tensor, tokens: Sequence[int], tops: Sequence[int]) -> list[TokenLogprob]:
    index = torch.tensor(tokens, dtype=torch.int64, device=logprobs.device)
    chosen = logprobs.gather(1, index[:, None]).squeeze(1).tolist()
    most = min(max(tops, default=0), logprobs.shape[1])
    if most == 0:
        return [TokenLogprob(value, token) for value, token in zip(chosen, tokens, strict=True)]
    best, ids = logprobs.topk(most, dim=1)
    pairs = [list(zip(*row, strict=True)) for row in zip(best.tolist(), ids.tolist(), strict=True)]
    # topk leaves the order of equal values open: the lower token id comes first, as in greedy sampling
    ordered = [sorted(row, key=lambda pair: (-pair[0], pair[1])) for row in pairs]
    return [
        TokenLogprob(value, token, tuple(row[:top]))
        for value, token, row, top in zip(chosen, tokens, ordered, tops, strict=True)
    ]
