"""Figures: what many samples come to."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sgdsl.cli.bench.sample import Sample

__all__ = ["Slo", "figures", "quantile"]


@dataclass(frozen=True, slots=True)
class Slo:
    """What an answer must keep to be good.

    Attributes:
        first_seconds: to the first token, at most; None for no limit.
        token_seconds: from token to token, on average over the answer, at most; None for no limit.
    """

    first_seconds: float | None = None
    token_seconds: float | None = None

    @property
    def is_set(self) -> bool:
        """Whether there is any limit."""
        return self.first_seconds is not None or self.token_seconds is not None

    def keeps(self, sample: Sample) -> bool:
        """Whether a finished answer is good; one of a single token has no time from token to token."""
        first, token = sample.first_seconds, sample.token_seconds
        if self.first_seconds is not None and (first is None or first > self.first_seconds):
            return False
        return self.token_seconds is None or token is None or token <= self.token_seconds


def figures(samples: Sequence[Sample], slo: Slo) -> dict[str, Any]:
    """Rates, latencies in seconds, and errors by kind. Failed requests count in nothing but the errors."""
    good = [sample for sample in samples if sample.error is None]
    seconds = max((one.ended for one in samples), default=0.0) - min((one.began for one in samples), default=0.0)
    prompt = _total(sample.prompt_tokens for sample in good)
    cached = _total(sample.cached_tokens for sample in good)
    new = sum(sample.num_new for sample in good)
    kept = sum(slo.keeps(sample) for sample in good)
    return {
        "seconds": seconds,
        "requests": len(samples),
        "completed": len(good),
        "failed": len(samples) - len(good),
        "errors": dict(Counter(sample.error for sample in samples if sample.error is not None).most_common()),
        "prompt_tokens": prompt,
        "new_tokens": new,
        "cached_tokens": cached,
        "cached_share": cached / prompt if prompt and cached is not None else None,
        "requests_per_second": _rate(len(good), seconds),
        "prompt_tokens_per_second": None if prompt is None else _rate(prompt, seconds),
        "new_tokens_per_second": _rate(new, seconds),
        "first_token_seconds": _spread([one.first_seconds for one in good]),
        "inter_token_seconds": _spread([gap for one in good for gap in one.gaps]),
        "per_token_seconds": _spread([one.token_seconds for one in good]),
        "request_seconds": _spread([one.ended - one.began for one in good]),
        "goodput": {
            "first_token_seconds": slo.first_seconds,
            "per_token_seconds": slo.token_seconds,
            "share": kept / len(samples) if samples else None,
            "requests_per_second": _rate(kept, seconds),
        } if slo.is_set else None,
    }  # fmt: skip


def quantile(values: Sequence[float], share: float) -> float:
    """The least value that this share of ascending values does not exceed."""
    return values[max(0, math.ceil(share * len(values)) - 1)]


def _spread(values: Sequence[float | None]) -> dict[str, float] | None:
    known = sorted(value for value in values if value is not None)
    if not known:
        return None
    shares = {f"p{share}": quantile(known, share / 100) for share in (50, 90, 99)}
    return {"mean": sum(known) / len(known), **shares}


def _total(counts: Any) -> int | None:
    """The sum of what was counted; None where nothing was."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _rate(count: int, seconds: float) -> float:
    return count / seconds if seconds > 0 else 0.0
