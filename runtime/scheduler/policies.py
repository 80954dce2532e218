"""Policies: in what order waiting requests are offered a place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from types import MappingProxyType

from runtime.memory.cache import PrefixCache
from runtime.memory.node import Node
from runtime.request import Request

__all__ = [
    "MATCHED_QUEUE_LIMIT",
    "PATIENCE",
    "POLICIES",
    "PROGRAM_PATIENCE",
    "Order",
    "by_priority",
    "dfs_weight",
    "fcfs",
    "lpm",
    "priority",
    "program",
]

Order = Callable[[Sequence[Request], PrefixCache, int], list[Request]]
"""Given the waiting in the order of their arrival, the cache, and how many steps have admitted somebody so far."""

MATCHED_QUEUE_LIMIT = 256
"""In longer queues nobody is matched: matching them all at every step would cost more than it saves."""

PATIENCE = 32
"""Whoever was passed over in so many steps has waited long."""

MOST_FRESH = 256

_PRIORITY = attrgetter("priority")
_DEADLINE = attrgetter("deadline")
PROGRAM_PATIENCE = 256
"""A run may be passed over by many small requests of others before it has waited long."""


def fcfs(waiting: Sequence[Request], cache: PrefixCache, turn: int) -> list[Request]:
    """First come, first served."""
    return list(waiting)


def lpm(waiting: Sequence[Request], cache: PrefixCache, turn: int) -> list[Request]:
    """Longest cached prefix first, so that what is cached is used before it is evicted; interrupted ones before all.

    Whoever has been passed over often goes before those who have not, so nobody waits for ever behind warmer prefixes.
    Of equals the one with the earlier deadline goes first.
    Matches are remembered until the tree changes. In queues beyond a few hundred the order is that of arrival.
    """
    if len(waiting) > MATCHED_QUEUE_LIMIT:
        return list(waiting)
    version = cache.tree.version
    for request in waiting:
        if request.match_version != version:
            request.match_length = cache.match(request.sequence, request.tokens)
            request.match_version = version
    return sorted(waiting, key=lambda r: (not r.was_interrupted, turn - r.turn < PATIENCE, -r.match_length, r.deadline))


def dfs_weight(waiting: Sequence[Request], cache: PrefixCache, turn: int) -> list[Request]:
    """Depth first through the cached prefixes, at every node the child that most of the waiting are below first.

    So requests with a common prefix follow each other, the most wanted prefix first, of equals the one with the earlier
    deadline. Interrupted requests and those who were passed over often go before. In queues beyond a few hundred the
    order is that of arrival.
    """
    if len(waiting) > MATCHED_QUEUE_LIMIT:
        return list(waiting)
    tree = cache.tree
    paths: dict[Request, list[Node]] = {}
    weights: Counter[int] = Counter()
    for request in waiting:
        sequence = request.sequence
        match = tree.match(sequence.keyed(request.tokens), len(request.tokens) - 1, sequence.namespace)
        paths[request] = list(match.node.path())[::-1]
        weights.update(map(id, paths[request]))
    places = _places([paths[request] for request in waiting])

    def key(request: Request) -> tuple[bool, bool, list[tuple[int, int]], float]:
        # At a node those who go on below it come first, the heaviest child before the others; end > every child.
        below = [(-weights[id(node)], places[id(node)]) for node in paths[request]]
        return not request.was_interrupted, turn - request.turn < PATIENCE, [*below, (0, 0)], request.deadline

    return sorted(waiting, key=key)


def _places(paths: Sequence[Sequence[Node]]) -> dict[int, int]:
    """Every node's place in the order in which the waiting come to it: what tells children of one weight apart."""
    places: dict[int, int] = {}
    for path in paths:
        for node in path:
            places.setdefault(id(node), len(places))
    return places


def priority(waiting: Sequence[Request], cache: PrefixCache, turn: int) -> list[Request]:
    """Higher priorities first, among equals those with the earlier deadline, and else in order of arrival."""
    return sorted(sorted(waiting, key=_DEADLINE), key=_PRIORITY, reverse=True)


def program(waiting: Sequence[Request], cache: PrefixCache, turn: int) -> list[Request]:
    """By program rather than by request: what is started is finished before something new begins.

    Requests of one run follow each other: its forks as a gang, whichever has the longest way to go first, of equals the
    one with the earlier deadline. Of several runs the one that came first goes first. Whoever has been passed over very
    often goes before all.
    """
    started = [request for request in waiting if request.run.num_started]
    fresh = [request for request in waiting if not request.run.num_started]
    # No step admits all of a long queue, and the fresh stand in the order of their arrival: a sorted beginning will do.
    considered = started + fresh[:MOST_FRESH]

    def key(request: Request) -> tuple[bool, bool, int, int, float]:
        run, hint = request.run, request.hint
        path = request.max_length - len(request.tokens)
        if hint is not None and hint.remaining_tokens is not None:
            path += hint.remaining_tokens
        return turn - request.turn < PROGRAM_PATIENCE, run.num_started == 0, run.arrival, -path, request.deadline

    return sorted(considered, key=key) + fresh[MOST_FRESH:]


def by_priority(ordered: Sequence[Request], is_turn_of_oldest: bool) -> list[Request]:
    """Higher priorities first, in the given order among equals.

    Args:
        is_turn_of_oldest: whoever has been passed over most often goes before all: a share of the places is kept for
            those who would else never get one.
    """
    ranked = sorted(ordered, key=_PRIORITY, reverse=True)
    if is_turn_of_oldest and ranked:
        oldest = min(ranked, key=lambda request: request.turn)
        ranked.remove(oldest)
        ranked.insert(0, oldest)
    return ranked


POLICIES: Mapping[str, Order] = MappingProxyType(
    {"fcfs": fcfs, "lpm": lpm, "dfs-weight": dfs_weight, "priority": priority, "program": program}
)
