"""Outcome: what came of a simulated run."""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmarks.simulation.histogram import Histogram

__all__ = ["Outcome"]


@dataclass(slots=True)
class Outcome:
    """Times in seconds of the simulation's clock; of what has ended only sums are kept.

    Attributes:
        prompt_tokens: over all gens. computed_tokens: prompt tokens that were run, again ones included.
        evictions: tokens evicted. busy: seconds of steps. delay: of all programs' tools and users.
        seconds: until the last program ended. last_arrival: when the last one came.
        cpu_seconds: processor time that the simulation took.
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
    last_arrival: float = 0.0
    cpu_seconds: float = 0.0
    waits: Histogram = field(default_factory=Histogram)
    completions: Histogram = field(default_factory=Histogram)
    by_kind: dict[str, Histogram] = field(default_factory=dict)

    def completed(self, kind: str, seconds: float, delay: float) -> None:
        """A program came to its end, so long after it came; `delay` of that it waited for tools and users."""
        self.completions.add(seconds)
        self.by_kind.setdefault(kind, Histogram()).add(seconds)
        self.delay += delay

    @property
    def hit_rate(self) -> float:
        """Of all prompt tokens."""
        return 1.0 - self.computed_tokens / max(1, self.prompt_tokens)

    def figures(self) -> dict[str, object]:
        """As JSON values."""
        completion = self.completions.figures()
        return {
            "hit_rate": self.hit_rate,
            "mean_completion": completion["mean"],
            "mean_completion_without_delays": completion["mean"] - self.delay / max(1, self.completions.count),
            "p50_completion": completion["p50"],
            "p99_completion": completion["p99"],
            "max_completion": completion["max"],
            "completion_by_kind": {kind: spread.figures() for kind, spread in sorted(self.by_kind.items())},
            "waiting": self.waits.figures(),
            "evictions": self.evictions,
            "retractions": self.retractions,
            "programs": self.completions.count,
            "requests": self.requests,
            "steps": self.steps,
            "utilization": self.busy / self.seconds,
            "cpu_seconds": self.cpu_seconds,
        }
