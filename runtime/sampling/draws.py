"""Draws: chance, for the rows that are not greedy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import threshold

from runtime.sampling.masked import best_masked
from runtime.sampling.noise import Noise

if TYPE_CHECKING:
    from runtime.sampling.row import SamplingRow

__all__ = ["Draws"]

_BLOCK = 256  # tokens summed together before the search for the drawn one begins
_SHORTLIST = 128  # the likeliest tokens looked at first; top_k and top_p seldom need more
_SORTED_AT_ONCE = 8  # rows; keeps the fallback's temporaries small
_BELOW_ONE = 1.0 - 2.0**-53
_BELOW_ONE_32 = 1.0 - 2.0**-24
_LEAST_WEIGHT = 1e-30  # of the likeliest token's; far below what 53 random bits can reach
_MAX_TEMPERATURE = 1e30  # float32's infinity would make -inf / T a NaN


class Draws:
    """Draws one token per row by inverting its distribution function at one uniform number.

    Order within a row: temperature, then top_k, top_p and min_p, all three measured on the whole distribution after
    temperature (SGLang's "joint" order) and each turned into one threshold, of which the highest counts. Tokens as
    likely as the last one kept are kept too, so that no tie is broken by chance of memory layout.

    Args:
        rows: (place in the batch, row) of every row that is not greedy.
        num_rows: R.
        vocab_size: V.
        device: where the logits are.
    """

    def __init__(
        self, rows: Sequence[tuple[int, SamplingRow]], num_rows: int, vocab_size: int, device: torch.device
    ) -> None:
        params = [row.params for _, row in rows]
        self._rows = [row for _, row in rows]
        self._noise = Noise([row.seed for row in self._rows])
        self.index = torch.tensor([place for place, _ in rows], dtype=torch.int64, device=device)
        self._all = len(rows) == num_rows
        temperatures = [[min(p.temperature, _MAX_TEMPERATURE)] for p in params]
        self._temperature = torch.tensor(temperatures, dtype=torch.float32, device=device)
        # reused every step: fresh pages would cost more than the arithmetic
        padded = -(-vocab_size // _BLOCK) * _BLOCK
        self._weights = torch.full((len(rows), padded), -torch.inf, dtype=torch.float32, device=device)
        self._vocab_size = vocab_size
        self._masked = best_masked(device.type)
        ranked = [i for i, p in enumerate(params) if p.top_k != -1 or p.top_p < 1.0]
        self._ranks = _Ranks(ranked, [params[i].top_k for i in ranked], [params[i].top_p for i in ranked], device)
        self._filters = bool(ranked) or any(p.min_p > 0.0 for p in params)
        floors = [max(p.min_p, _LEAST_WEIGHT) for p in params]
        self._floors = torch.tensor(floors, dtype=torch.float32, device=device)

    def draw(
        self, logits: torch.Tensor, peaks: torch.Tensor, words: npt.NDArray[np.int32] | None = None
    ) -> torch.Tensor:
        """Tokens of the rows at `index`, int64 [S].

        Args:
            logits: float32 [R, V], not changed.
            peaks: float32 [R], each row's highest allowed logit. One that is not finite gives a meaningless token.
            words: int32 [R, ceil(V / 32)], the masks; None where everything is allowed.
        """
        weights = self._weights
        weights[:, self._vocab_size :] = -torch.inf
        if words is not None:
            self._masked.lower(logits, words, self.index, peaks, weights)
        else:
            chosen = logits if self._all else logits[self.index]
            top = peaks if self._all else peaks[self.index]
            torch.sub(chosen, top[:, None], out=weights[:, : self._vocab_size])
        weights.div_(self._temperature).exp_()  # the likeliest token weighs 1
        if self._filters:
            floors = self._ranks.raised(self._floors, weights)
            # a quotient is below 1 exactly where the weight is below the floor
            threshold(weights.div_(floors[:, None]), _BELOW_ONE_32, 0.0, inplace=True)
        noise = torch.from_numpy(self._noise.uniform([len(row.output_ids) for row in self._rows]))
        return _invert(weights, noise.to(logits.device))


class _Ranks:
    """Where top_k and top_p cut, for the F rows that have either."""

    def __init__(
        self, places: Sequence[int], top_k: Sequence[int], top_p: Sequence[float], device: torch.device
    ) -> None:
        unlimited = torch.iinfo(torch.int64).max
        self._places = torch.tensor(places, dtype=torch.int64, device=device)
        self._top_k = torch.tensor([k if k > 0 else unlimited for k in top_k], dtype=torch.int64, device=device)
        # 1.0 is "all": infinity, or rounding in the sums could drop the last tokens
        masses = [p if p < 1.0 else math.inf for p in top_p]
        self._top_p = torch.tensor(masses, dtype=torch.float64, device=device)

    def raised(self, floors: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """`floors` (float32 [S]), at least the weight of the last token each row keeps. `weights`: [S, V]."""
        if not len(self._places):
            return floors
        ours = weights if len(self._places) == len(weights) else weights[self._places]
        mass = self._top_p * ours.sum(dim=1).double()
        size = min(_SHORTLIST, ours.shape[1])
        cut, kept = _cut(ours.topk(size, dim=1).values, self._top_k, mass)
        missed = ((kept == size) & (self._top_k > size)).nonzero().squeeze(1)
        for part in torch.split(missed, _SORTED_AT_ONCE):
            cut[part] = _cut(_descending(ours[part]), self._top_k[part], mass[part])[0]
        raised = floors.clone()
        raised[self._places] = torch.maximum(floors[self._places], cut)
        return raised


def _cut(ordered: torch.Tensor, top_k: torch.Tensor, mass: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The last kept of some weights in descending order, and the number kept, per row."""
    ends = ordered.cumsum(dim=1, dtype=torch.float64)
    # a token is kept while those before it weigh less than `mass`, so the first always is
    kept = torch.searchsorted(ends, mass[:, None]).squeeze(1) + 1
    kept = kept.clamp_(max=ordered.shape[1]).minimum(top_k)
    return ordered.gather(1, kept[:, None] - 1).squeeze(1), kept


def _descending(values: torch.Tensor) -> torch.Tensor:
    if values.device.type != "cpu":
        return values.sort(dim=1, descending=True).values
    # numpy's vectorised sort is several times as fast as torch's, which also moves the indices
    return torch.from_numpy(np.sort(values.numpy(), axis=1)).flip(1)


def _invert(weights: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """First token whose running sum of `weights` (float32 [S, n·_BLOCK], >= 0) exceeds noise · total; int64 [S].

    Searched in two levels, blocks and then tokens of one block, with running sums in float64. Strictly below the
    total at both levels, so a token of weight 0 is never found; u < 1 has 53 bits, so u·x < x holds after rounding.
    """
    blocks = weights.view(len(weights), -1, _BLOCK)
    ends = blocks.sum(dim=2).double().cumsum_(dim=1)
    target = (noise * ends[:, -1])[:, None]
    block = torch.searchsorted(ends, target, right=True).clamp_(max=ends.shape[1] - 1)
    end = ends.gather(1, block)
    begin = torch.where(block > 0, ends.gather(1, (block - 1).clamp_(min=0)), 0.0)
    share = ((target - begin) / (end - begin)).clamp_(max=_BELOW_ONE)
    rows = torch.arange(len(weights), device=weights.device)
    inside = blocks[rows, block.squeeze(1)].double().cumsum_(dim=1)
    offset = torch.searchsorted(inside, share * inside[:, -1:], right=True)
    return (block * _BLOCK + offset).squeeze(1)
