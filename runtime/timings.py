"""Timings: how long things took in the engine, as histograms that cost the step loop next to nothing."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

__all__ = ["Tally", "Timings"]

TINY = (0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0)
SHORT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.5, 5.0)
LONG = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0)


class Tally:
    """A histogram that one thread fills and any may read.

    Args:
        bounds: upper ends of its buckets in seconds, rising; whatever is longer has a bucket of its own.
    """

    __slots__ = ("bounds", "counts", "seconds")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        """One more, that took so long."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.seconds += seconds

    def table(self) -> dict[str, Any]:
        """As plain data: `bounds`, `counts` (one more than bounds) and the sum in `seconds`."""
        return {"bounds": list(self.bounds), "counts": list(self.counts), "seconds": self.seconds}


class Timings:
    """What an engine measures of its requests.

    Attributes:
        queue: from submission to the first step. first_token: from submission to the first sampled token.
        inter_token: from one sampled token to the next. end_to_end: from submission to a good end.
        grammar_compilation: of each constraint. eviction: of cached tokens that had to make room, all at once.
    """

    __slots__ = ("end_to_end", "eviction", "first_token", "grammar_compilation", "inter_token", "queue")

    def __init__(self) -> None:
        self.queue = Tally(LONG)
        self.first_token = Tally(LONG)
        self.inter_token = Tally(SHORT)
        self.end_to_end = Tally(LONG)
        self.eviction = Tally(TINY)
        self.grammar_compilation = Tally(LONG)

    def table(self) -> dict[str, dict[str, Any]]:
        """All of them as plain data."""
        return {name: getattr(self, name).table() for name in self.__slots__}
