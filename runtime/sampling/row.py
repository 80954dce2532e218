"""SamplingRow: one request's sampling state, from its first token to its last."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from grammars.grammar import Matcher
from runtime.sampling.params import SamplingParams
from runtime.sampling.token_counts import TokenCounts

__all__ = ["SamplingRow"]

_MIN_TEMPERATURE = 1e-5  # below it the scaled logits leave float32's range; the likeliest token is all that is left


class SamplingRow:
    """What the sampler knows of one request. The engine appends every new token to `output_ids` and nothing else.

    Args:
        params: how to sample.
        prompt_ids: the tokens before the first new one; only the repetition penalty reads them.
        end_tokens: the model's end tokens.
        seed: of this request's noise; any integer, reduced modulo 2**64.
        matcher: the grammar's progress; the engine advances it, the sampler only reads its mask.
        top_logprobs: None for no log probabilities, 0 for the chosen token's, k for the k likeliest as well.

    Attributes:
        output_ids: the new tokens so far. Its length numbers the step, so equal seeds give equal texts wherever
            and beside whatever a request runs.
        held_tokens: what `min_new_tokens` keeps away: the stop tokens, and the end tokens where they end the text.
        counts: token counts for the penalties; None where there are none.
    """

    __slots__ = ("counts", "held_tokens", "matcher", "output_ids", "params", "seed", "top_logprobs")

    def __init__(
        self,
        params: SamplingParams,
        *,
        prompt_ids: Sequence[int],
        end_tokens: Collection[int],
        seed: int,
        matcher: Matcher | None = None,
        top_logprobs: int | None = None,
    ) -> None:
        ends = () if params.ignore_eos else end_tokens
        self.params = params
        self.seed = seed
        self.matcher = matcher
        self.top_logprobs = top_logprobs
        self.output_ids: list[int] = []
        self.held_tokens: tuple[int, ...] = tuple({*params.stop_token_ids, *ends}) if params.min_new_tokens else ()
        repeats = params.repetition_penalty != 1.0
        penalised = repeats or params.frequency_penalty != 0.0 or params.presence_penalty != 0.0
        self.counts = TokenCounts(prompt_ids if repeats else ()) if penalised else None

    @property
    def is_held(self) -> bool:
        """Whether `held_tokens` are to be kept away from the next token."""
        return bool(self.held_tokens) and len(self.output_ids) < self.params.min_new_tokens

    @property
    def greedy(self) -> bool:
        """Whether the likeliest token is taken without chance."""
        return self.params.temperature < _MIN_TEMPERATURE or self.params.top_k == 1
