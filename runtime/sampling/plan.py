"""SamplingPlan: what a batch's rows want of the sampler, gathered once and used until the batch changes."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from runtime.errors import InvalidParameter
from runtime.sampling.bias import LogitBias
from runtime.sampling.draws import Draws
from runtime.sampling.logprobs import Logprobs
from runtime.sampling.penalties import Penalties
from runtime.sampling.row import SamplingRow

__all__ = ["SamplingPlan"]


class SamplingPlan:
    """One batch's parameters as tensors. Parts that no row needs are None and cost nothing.

    Args:
        rows: the batch; kept alive by the plan, so that its identity stays its own.
        vocab_size: V.
        device: where the logits are.

    Attributes:
        rows: as given.
        errors: rows that cannot be sampled whatever the logits are, by place.
        draws, logprobs: the parts that do not edit logits.
    """

    def __init__(self, rows: Sequence[SamplingRow], vocab_size: int, device: torch.device) -> None:
        self.rows = tuple(rows)
        self.device = device
        self.errors: dict[int, Exception] = {}
        placed = list(enumerate(self.rows))
        for place, row in placed:
            for token in row.params.logit_bias:
                if token >= vocab_size:
                    self.errors[place] = InvalidParameter("logit_bias token", token, f"an id below {vocab_size}")
        biased = [(i, row) for i, row in placed if row.params.logit_bias and i not in self.errors]
        counted = [(i, row) for i, row in placed if row.counts is not None]
        drawn = [(i, row) for i, row in placed if not row.greedy]
        asked = [(i, row) for i, row in placed if row.top_logprobs is not None]
        self._bias = LogitBias(biased, vocab_size, device) if biased else None
        self._penalties = Penalties(counted, vocab_size, device) if counted else None
        self.draws = Draws(drawn, len(placed), vocab_size, device) if drawn else None
        self.logprobs = Logprobs(asked, len(placed), device) if asked else None

    def fits(self, rows: Sequence[SamplingRow], device: torch.device) -> bool:
        """Whether this plan was made of exactly these rows, in this order, for this device."""
        same = len(rows) == len(self.rows) and device == self.device
        return same and all(mine is other for mine, other in zip(self.rows, rows, strict=True))

    def edit(self, logits: torch.Tensor) -> None:
        """Applies bias and penalties to `logits` (float32 [R, V]) in place."""
        if self._bias is not None:
            self._bias.apply(logits)
        if self._penalties is not None:
            self._penalties.apply(logits)
