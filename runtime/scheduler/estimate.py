"""LengthEstimate: how much of what requests may still generate has to be kept free for them."""

from __future__ import annotations

from collections.abc import Iterable

from runtime.request import Request

__all__ = ["LengthEstimate"]


class LengthEstimate:
    """A ratio of the remaining tokens, because few requests use all they may.

    It decays while steps go well, jumps when a request had to be retracted, and starts afresh on idle.

    Args:
        start, floor: the ratio after a reset, and the least it decays to.
        decay: taken off at every step.
    """

    def __init__(self, start: float = 0.5, floor: float = 0.1, decay: float = 0.002) -> None:
        self._start, self._floor, self._decay = start, floor, decay
        self.ratio = start

    def stepped(self) -> None:
        """A step went well."""
        self.ratio = max(self._floor, self.ratio - self._decay)

    def retracted(self) -> None:
        """The estimate was too low."""
        self.ratio = min(1.0, self.ratio + (1.0 - self.ratio) / 2)

    def reset(self) -> None:
        """Nothing runs any more."""
        self.ratio = self._start

    def slots(self, requests: Iterable[Request]) -> int:
        """Slots to keep free for what these requests may still generate."""
        return int(sum(request.num_remaining for request in requests) * self.ratio)
