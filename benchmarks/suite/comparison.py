"""Comparison: all runs of all sides, and what follows from them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from benchmarks.suite.measurement import Measurement, median

__all__ = ["Comparison", "geometric_mean"]

UNEQUAL = 0.05
"""Generated tokens apart by more than this share are not the same work."""


@dataclass(slots=True)
class Comparison:
    """Runs by workload and side.

    Attributes:
        sides: their names, ours first. ours: those of them.
        runs: by workload, then by side, in the order they were made.
    """

    sides: tuple[str, ...]
    ours: tuple[str, ...]
    runs: dict[str, dict[str, list[Measurement]]] = field(default_factory=dict)

    def add(self, workload: str, side: str, run: Measurement) -> None:
        """One more run."""
        self.runs.setdefault(workload, {}).setdefault(side, []).append(run)

    def medians(self, workload: str) -> dict[str, Measurement]:
        """By side; a side that failed once has failed."""
        return {side: median(runs) for side, runs in self.runs[workload].items()}

    @property
    def peers(self) -> tuple[str, ...]:
        """Names of the sides that are not ours."""
        return tuple(side for side in self.sides if side not in self.ours)

    def ratio(self, workload: str, peer: str, ours: str) -> float | None:
        """How many times as long a peer takes as one of ours; None where either has failed."""
        found = self.medians(workload)
        if any(side not in found or found[side].error is not None for side in (peer, ours)):
            return None
        return found[peer].seconds / found[ours].seconds

    def best_ratio(self, workload: str, ours: str) -> float | None:
        """The same of the fastest peer; None where every one has failed."""
        ratios = [ratio for peer in self.peers if (ratio := self.ratio(workload, peer, ours)) is not None]
        return min(ratios, default=None)

    def means(self, ours: str) -> Mapping[str, tuple[float | None, int]]:
        """Geometric means of the ratios to each peer and to the fastest of each workload, and of how many workloads."""
        found: dict[str, tuple[float | None, int]] = {}
        for peer in self.peers:
            found[peer] = geometric_mean(self.ratio(workload, peer, ours) for workload in self.runs)
        found["best peer"] = geometric_mean(self.best_ratio(workload, ours) for workload in self.runs)
        return found

    def num_disturbed(self, load: float) -> tuple[int, int]:
        """Before how many runs others used more than this share of the processors, and how many runs there are."""
        runs = [run for sides in self.runs.values() for made in sides.values() for run in made]
        return sum(run.load > load for run in runs), len(runs)

    def is_unequal(self, workload: str, side: str) -> bool:
        """Whether a side has generated another number of tokens than ours."""
        found = self.medians(workload)
        first = found.get(self.ours[0]) if self.ours else None
        if first is None or first.error is not None or found[side].error is not None:
            return False
        apart = abs(found[side].generated_tokens - first.generated_tokens)
        return apart > UNEQUAL * max(first.generated_tokens, 1)


def geometric_mean(ratios: Iterable[float | None]) -> tuple[float | None, int]:
    """Of those that are there, and how many they are."""
    there = [ratio for ratio in ratios if ratio is not None]
    return (math.exp(math.fsum(map(math.log, there)) / len(there)) if there else None), len(there)
