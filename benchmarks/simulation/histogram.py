"""Histogram: how numbers are spread, in bounded memory."""

from __future__ import annotations

import math
from collections import Counter

__all__ = ["Histogram"]

LEAST = 1e-3
_WIDTH = math.log(1.01)


class Histogram:
    """Seconds, each known to one percent, those below a millisecond as 0; sum, count and largest are exact."""

    def __init__(self) -> None:
        self.count = 0
        self.sum = 0.0
        self.largest = 0.0
        self._buckets: Counter[int] = Counter()

    def add(self, seconds: float) -> None:
        """Counts one."""
        self.count += 1
        self.sum += seconds
        self.largest = max(self.largest, seconds)
        self._buckets[-1 if seconds < LEAST else int(math.log(seconds / LEAST) / _WIDTH)] += 1

    @property
    def mean(self) -> float:
        """0 where there is none."""
        return self.sum / max(1, self.count)

    def quantile(self, share: float) -> float:
        """The middle of the bucket below whose end that share of all numbers is."""
        left = share * self.count
        for bucket in sorted(self._buckets):
            left -= self._buckets[bucket]
            if left <= 0:
                return 0.0 if bucket < 0 else min(self.largest, LEAST * math.exp((bucket + 0.5) * _WIDTH))
        return self.largest

    def figures(self) -> dict[str, float]:
        """As JSON values."""
        return {"mean": self.mean, "p50": self.quantile(0.5), "p99": self.quantile(0.99), "max": self.largest}
