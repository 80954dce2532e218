"""Policies: in what order waiting requests are offered a place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from runtime.memory.cache import PrefixCache
from runtime.request import Request

__all__ = ["PATIENCE", "POLICIES", "Order", "by_priority", "fcfs", "lpm"]

Order = Callable[[Sequence[Request], PrefixCache], list[Request]]

LPM_QUEUE_LIMIT = 256
PATIENCE = 32


def fcfs(waiting: Sequence[Request], cache: PrefixCache) -> list[Request]:
    """First come, first served."""
    return list(waiting)


def lpm(waiting: Sequence[Request], cache: PrefixCache) -> list[Request]:
    """Longest cached prefix first, so that what is cached is used before it is evicted; retracted ones before all.

    Whoever has been passed over often goes before those who have not, so nobody waits for ever behind warmer prefixes.
    Matches are remembered until the tree changes. In queues beyond a few hundred the order is that of arrival:
    matching them all at every step would cost more than it saves.
    """
    if len(waiting) > LPM_QUEUE_LIMIT:
        return list(waiting)
    version = cache.tree.version
    for request in waiting:
        if request.match_version != version:
            request.match_length = cache.match(request.sequence, request.tokens)
            request.match_version = version
    return sorted(waiting, key=_lpm_key)


def _lpm_key(request: Request) -> tuple[bool, bool, int]:
    return request.num_retractions == 0, request.num_passed < PATIENCE, -request.match_length


def by_priority(ordered: Sequence[Request], is_turn_of_oldest: bool) -> list[Request]:
    """Higher priorities first, in the given order among equals.

    Args:
        is_turn_of_oldest: whoever has been passed over most often goes before all: a share of the places is kept for
            those who would else never get one.
    """
    ranked = sorted(ordered, key=lambda request: -request.priority)
    if is_turn_of_oldest and ranked:
        oldest = max(ranked, key=lambda request: request.num_passed)
        ranked.remove(oldest)
        ranked.insert(0, oldest)
    return ranked


POLICIES: Mapping[str, Order] = MappingProxyType({"fcfs": fcfs, "lpm": lpm})
