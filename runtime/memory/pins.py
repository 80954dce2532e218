"""Pins: cached prefixes that stay for a time, whether anybody uses them or not."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from runtime.errors import InvalidParameter
from runtime.memory.cache import PrefixCache
from runtime.memory.node import Node

__all__ = ["Pins", "check_ttl"]


@dataclass(frozen=True, slots=True)
class _Pin:
    node: Node
    num_tokens: int
    expires: float


class Pins:
    """Holds prefixes by locks of its own.

    Args:
        cache: where they are.
        clock: seconds that only go forward. Where it jumps back all the same, time stands still until it has caught
            up; where it jumps ahead, what has expired by then goes at once.
    """

    def __init__(self, cache: PrefixCache, clock: Callable[[], float] = time.monotonic) -> None:
        self._cache = cache
        self._clock = clock
        self._latest = -math.inf
        self._numbers = itertools.count(1)
        self._pins: dict[str, _Pin] = {}
        self.num_expired = 0
        self.num_given_up = 0

    @property
    def held(self) -> tuple[int, ...]:
        """How many tokens each pin holds that has not expired; what several pins share counts for each."""
        now = max(self._latest, self._clock())
        return tuple(pin.num_tokens for pin in tuple(self._pins.values()) if pin.expires > now)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Where the pinned prefixes end."""
        return tuple(pin.node for pin in self._pins.values())

    def described(self) -> list[dict[str, str | int | float]]:
        """Every pin: its name, tokens, namespace, and the seconds it has left."""
        now = max(self._latest, self._clock())
        return [
            {
                "name": name,
                "num_tokens": pin.num_tokens,
                "namespace": pin.node.namespace,
                "seconds_left": min(1e9, max(0.0, pin.expires - now)),
            }
            for name, pin in self._pins.items()
        ]

    def add(self, tokens: Sequence[int], ttl_seconds: float, namespace: str = "") -> str:
        """Pins what is cached of `tokens`, in whole pages, and returns the pin's name.

        Raises:
            InvalidParameter: `ttl_seconds` is no positive number.
        """
        check_ttl(ttl_seconds)
        tree = self._cache.tree
        match = tree.match(tokens, len(tokens), namespace)
        name = f"pin-{next(self._numbers)}"
        self._pins[name] = _Pin(tree.take(match), match.length, self._now() + ttl_seconds)
        return name

    def remove(self, name: str) -> bool:
        """Unpins; False where there is no such pin, or no more."""
        pin = self._pins.pop(name, None)
        if pin is not None:
            self._cache.tree.unlock(pin.node)
        return pin is not None

    def expire(self) -> None:
        """Unpins what has been pinned for as long as was asked."""
        if not self._pins:
            return
        now = self._now()
        for name in [name for name, pin in self._pins.items() if pin.expires <= now]:
            self.num_expired += self.remove(name)

    def give_up(self) -> bool:
        """Unpins what would expire first, because a request would not fit otherwise; False where nothing is pinned."""
        if not self._pins:
            return False
        self.num_given_up += self.remove(min(self._pins, key=lambda name: self._pins[name].expires))
        return True

    def _now(self) -> float:
        self._latest = max(self._latest, self._clock())
        return self._latest


def check_ttl(ttl_seconds: float) -> None:
    """Refuses what is no time to live.

    Raises:
        InvalidParameter: it is no positive number.
    """
    if isinstance(ttl_seconds, bool) or not isinstance(ttl_seconds, int | float) or not ttl_seconds > 0:
        raise InvalidParameter("ttl_seconds", ttl_seconds, "a number above 0; math.inf keeps it until unpin")
