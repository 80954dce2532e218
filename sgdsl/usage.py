"""Usage: what a run has cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runtime.handle import Generation

__all__ = ["Usage"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a run has cost so far.

    Attributes:
        gens: finished generate calls, samples counted; selects: finished selects.
        prompt_tokens: before those calls; cached_tokens of them needed no computing.
        generated_tokens: new, the stopping one of each call included; forced_tokens of them needed no model.
        saved_calls: gens that needed no call of their own, because an earlier one had written ahead.
    """

    gens: int = 0
    selects: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0
    forced_tokens: int = 0
    saved_calls: int = 0

    @classmethod
    def of(cls, results: Sequence[Generation]) -> Usage:
        """The usage of finished generate calls."""
        return cls(
            gens=len(results),
            prompt_tokens=sum(result.prompt_tokens for result in results),
            cached_tokens=sum(result.cached_tokens for result in results),
            generated_tokens=sum(result.num_generated for result in results),
            forced_tokens=sum(result.num_forced for result in results),
            saved_calls=sum(result.written_ahead for result in results),
        )

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            gens=self.gens + other.gens,
            selects=self.selects + other.selects,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            generated_tokens=self.generated_tokens + other.generated_tokens,
            forced_tokens=self.forced_tokens + other.forced_tokens,
            saved_calls=self.saved_calls + other.saved_calls,
        )
