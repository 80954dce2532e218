"""LengthEstimate: how much of what requests may still generate has to be kept free for them."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from runtime.request import Request, Site

__all__ = ["MOST_SITES", "LengthEstimate"]

ENOUGH = 4
MOST_SITES = 4096


@dataclass(slots=True)
class _Lengths:
    """Mean and variance of the lengths seen at one site; what is long past counts for little."""

    count: int = 0
    mean: float = 0.0
    variance: float = 0.0

    def add(self, length: int) -> None:
        self.count += 1
        weight = max(1 / self.count, 1 / 32)
        off = length - self.mean
        self.mean += weight * off
        self.variance = (1 - weight) * (self.variance + weight * off * off)

    @property
    def most(self) -> float:
        """Few are longer."""
        return self.mean + math.sqrt(self.variance)


class LengthEstimate:
    """By the lengths that came of the same call of the same program before; else a ratio of the remaining tokens.

    The ratio is there because few requests use all they may. It decays while steps go well, jumps when a request had
    to be retracted, and starts afresh on idle.

    Args:
        start, floor: the ratio after a reset, and the least it decays to.
        decay: taken off at every step.
        page_size: slots a page; what is left of a request's last page needs not be kept free besides.
    """

    def __init__(self, start: float = 0.5, floor: float = 0.1, decay: float = 0.002, *, page_size: int = 1) -> None:
        self._start, self._floor, self._decay = start, floor, decay
        self._page_size = page_size
        self._sites: OrderedDict[Site, _Lengths] = OrderedDict()
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

    def learn(self, request: Request) -> None:
        """Notes how long an ended request became. The sites used least recently are forgotten when there are many."""
        site = request.site
        if site is None or site[-1] <= 0:
            return
        lengths = self._sites.get(site)
        if lengths is None:
            lengths = self._sites[site] = _Lengths()
            if len(self._sites) > MOST_SITES:
                self._sites.popitem(last=False)
        self._sites.move_to_end(site)
        lengths.add(request.num_output)

    def expect(self, request: Request) -> None:
        """Notes on a request how long it is likely to become, a little more rather than less, if that is known."""
        lengths = self._sites.get(request.site) if self._sites and request.site is not None else None
        if lengths is not None and lengths.count >= ENOUGH:
            request.expected_output = lengths.most

    def tokens(self, request: Request) -> float:
        """Tokens the request is likely to generate still."""
        length = len(request.tokens)
        remaining = request.max_length - length
        if request.expected_output is not None:
            left = request.prompt_len + request.expected_output - length
            if left > 0:
                return min(left, remaining)
        return remaining * self.ratio

    def slots(self, requests: Iterable[Request]) -> int:
        """Slots to keep free for what these requests may still generate, in whole pages."""
        size = self._page_size
        pages = 0
        for request in requests:
            length = len(request.tokens)
            end = length + int(self.tokens(request))
            pages += max(0, -(-end // size) - max(-(-length // size), len(request.sequence.pages)))
        return pages * size
