"""Throughput: how fast a counter rises, between the times it is looked at."""

from __future__ import annotations

__all__ = ["Throughput"]

SHORTEST_SECONDS = 1.0


class Throughput:
    """Remembers a counter; several who look at once see the same rate."""

    def __init__(self) -> None:
        self._since = 0.0
        self._count: float | None = None
        self._rate = 0.0

    def seen(self, count: float, now: float) -> float:
        """The rate a second since the counter was looked at last, or the one before where that was just now.

        Args:
            count: one that is lower than before has begun anew.
            now: seconds on a clock that only goes forward.
        """
        if self._count is None:
            self._since, self._count = now, count
        elif now - self._since >= SHORTEST_SECONDS:
            self._rate = (count - self._count if count >= self._count else count) / (now - self._since)
            self._since, self._count = now, count
        return self._rate
