"""Sampler: one step's logits in, one token per request out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from runtime.errors import RequestError, StepFailed
from runtime.handle import TokenLogprob
from runtime.sampling.masked import best_masked
from runtime.sampling.masks import GrammarMasks
from runtime.sampling.plan import SamplingPlan
from runtime.sampling.row import SamplingRow

__all__ = ["Sampled", "Sampler"]


@dataclass(frozen=True, slots=True)
class Sampled:
    """One step's choice.

    Attributes:
        tokens: R token ids; -1 for a row in `errors`.
        logprobs: R entries; None where not asked for, or failed.
        errors: rows that could not be sampled, by place; the others are not touched by it.
    """

    tokens: list[int]
    logprobs: list[TokenLogprob | None]
    errors: dict[int, Exception] = field(default_factory=dict)


class Sampler:
    """Samples batches. Keeps the last batch's plan, since most steps have the same rows as the one before.

    The order, per row: logit_bias; repetition, frequency and presence penalty; grammar mask; min_new_tokens;
    temperature; top_k, top_p, min_p; the draw. Log probabilities are the model's own, before all of it.
    Greedy rows (temperature below 1e-5, or top_k 1) take the highest logit, of equal ones the lowest id.

    Args:
        vocab_size: V, the width of the logits.

    Attributes:
        masks: fills the masks of rows that follow a grammar.
    """

    def __init__(self, vocab_size: int) -> None:
        best_masked("cpu")  # compiles now rather than in the first step that needs it
        self.masks = GrammarMasks(vocab_size)
        self._vocab_size = vocab_size
        self._plan: SamplingPlan | None = None

    @torch.inference_mode()
    def sample(self, logits: torch.Tensor, rows: Sequence[SamplingRow]) -> Sampled:
        """Chooses a token for each row; appending it to `output_ids` is the caller's.

        Args:
            logits: float32 [R, V]; may be changed in place.
            rows: R rows; their masks are there sooner where `masks.begin` was called with them before the model ran.

        Raises:
            ValueError: the shapes do not go together. What is wrong with one row is in `Sampled.errors` instead.
        """
        if tuple(logits.shape) != (len(rows), self._vocab_size):
            raise ValueError(f"logits: shape {tuple(logits.shape)} is not {(len(rows), self._vocab_size)}")
        if not rows:
            return Sampled([], [])
        logits = logits.float().contiguous()
        plan = self._plan
        if plan is None or not plan.fits(rows, logits.device):
            plan = self._plan = SamplingPlan(rows, self._vocab_size, logits.device)
        captured = plan.logprobs.capture(logits) if plan.logprobs is not None else None
        plan.edit(logits)
        words, errors = self.masks.take(rows)
        errors.update(plan.errors)
        peaks, chosen = _peaks(logits) if words is None else best_masked(logits.device.type).peaks(logits, words)
        if plan.draws is not None:
            chosen[plan.draws.index] = plan.draws.draw(logits, peaks, words)
        tokens: list[int] = chosen.tolist()
        for place, peak in enumerate(peaks.tolist()):
            if not math.isfinite(peak):
                errors.setdefault(place, _peak_error(peak, rows[place]))
        for place in errors:
            tokens[place] = -1
        logprobs: list[TokenLogprob | None] = [None] * len(rows)
        if plan.logprobs is not None and captured is not None:
            logprobs = plan.logprobs.of(captured, tokens)
        return Sampled(tokens, logprobs, errors)


def _peaks(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Each row's highest value and the first place it stands at; NaN counts as highest."""
    if logits.device.type != "cpu":
        found = logits.max(dim=1)
        return found.values, found.indices
    # on CPU numpy's argmax takes a seventh of torch.argmax's and half of torch.max's time
    places = torch.from_numpy(logits.numpy().argmax(axis=1))
    return logits.gather(1, places[:, None]).squeeze(1), places


def _peak_error(peak: float, row: SamplingRow) -> Exception:
    if peak == -math.inf:
        return RequestError(f"no token is allowed after {len(row.output_ids)} new tokens: the constraint is stuck")
    return StepFailed(f"the model's logits after {len(row.output_ids)} new tokens hold {peak}")
