"""Outcome: what came of a simulated run."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

__all__ = ["Outcome"]


@dataclass(slots=True)
class Outcome:
    """Times in seconds of the simulation's clock.

    Attributes:
        prompt_tokens: over all gens. computed_tokens: prompt tokens that were run, again ones included.
        evictions: tokens evicted. busy: seconds of steps. delay: of all programs' tools and users.
        seconds: until the last program ended.
    """

    requests: int = 0
    prompt_tokens: int = 0
    computed_tokens: int = 0
    evictions: int = 0
    retractions: int = 0
    steps: int = 0
    busy: float = 0.0
    delay: float = 0.0
    seconds: float = 0.0
    waits: list[float] = field(default_factory=list)
    completions: dict[str, list[float]] = field(default_factory=dict)

    def waited(self, seconds: float) -> None:
        """A request was given its place."""
        self.waits.append(seconds)

    def completed(self, kind: str, seconds: float, delay: float) -> None:
        """A program came to its end, so long after it came; `delay` of that it waited for tools and users."""
        self.completions.setdefault(kind, []).append(seconds)
        self.delay += delay

    def figures(self) -> dict[str, object]:
        """As JSON values."""
        everybody = sorted(seconds for kind in self.completions.values() for seconds in kind)
        waits = sorted(self.waits)
        return {
            "hit_rate": 1.0 - self.computed_tokens / max(1, self.prompt_tokens),
            "mean_completion": statistics.fmean(everybody),
            "mean_completion_without_delays": statistics.fmean(everybody) - self.delay / len(everybody),
            "p99_completion": everybody[int(0.99 * (len(everybody) - 1))],
            "max_completion": everybody[-1],
            "completion_by_kind": {kind: statistics.fmean(all_) for kind, all_ in sorted(self.completions.items())},
            "waiting": {
                "mean": statistics.fmean(waits),
                "p50": waits[len(waits) // 2],
                "p99": waits[int(0.99 * (len(waits) - 1))],
                "max": waits[-1],
            },
            "evictions": self.evictions,
            "retractions": self.retractions,
            "programs": len(everybody),
            "requests": self.requests,
            "steps": self.steps,
            "utilization": self.busy / self.seconds,
        }
