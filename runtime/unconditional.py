"""UnconditionalLogprobs: how likely token runs are with nothing before them, remembered for the next who asks."""

from __future__ import annotations

from collections import OrderedDict

__all__ = ["UnconditionalLogprobs"]

MOST_TOKENS = 1 << 18


class UnconditionalLogprobs:
    """Log probabilities by namespace and ids. Those not asked for longest are forgotten when there are too many.

    Args:
        most_tokens: tokens of everything remembered together.
    """

    def __init__(self, most_tokens: int = MOST_TOKENS) -> None:
        self._most_tokens = most_tokens
        self._num_tokens = 0
        self._rows: OrderedDict[tuple[str, tuple[int, ...]], tuple[float, ...]] = OrderedDict()

    def find(self, namespace: str, ids: tuple[int, ...]) -> tuple[float, ...] | None:
        """One log probability per id; the first has nothing before it and is 0. None where they are not known."""
        if len(ids) == 1:
            return (0.0,)
        found = self._rows.get((namespace, ids))
        if found is not None:
            self._rows.move_to_end((namespace, ids))
        return found

    def keep(self, namespace: str, ids: tuple[int, ...], row: tuple[float, ...]) -> None:
        """Remembers what `find` is to give."""
        if (namespace, ids) not in self._rows:
            self._num_tokens += len(ids)
        self._rows[namespace, ids] = row
        while self._num_tokens > self._most_tokens:
            (_, oldest), _ = self._rows.popitem(last=False)
            self._num_tokens -= len(oldest)
