"""Eviction policies: which cached prefix goes first when pages are needed.

A policy is a pure function of a node's counters; the evictable leaf of the lowest rank goes first. Two criteria make
one rank by weight: a node's place in the first, and its last use among those of the same place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

from runtime.memory.node import Node

__all__ = ["POLICIES", "Rank"]

Rank: TypeAlias = Callable[[Node], int]

_TICKS = 1 << 48
"""More than a tree's clock ever counts to."""


def lru(node: Node) -> int:
    """Least recently used first."""
    return node.last_use


def mru(node: Node) -> int:
    """Most recently used first: for scans that go round and round over more than the pool holds."""
    return -node.last_use


def fifo(node: Node) -> int:
    """Oldest first, however often it was used."""
    return node.created


def lfu(node: Node) -> int:
    """Least often taken over by another sequence first, then least recently used."""
    return node.num_hits * _TICKS + node.last_use


def slru(node: Node) -> int:
    """Two segments: what was never taken over goes before what was once or more; least recently used in each.

    After Karedla, Love and Wherry, "Caching strategies to improve disk system performance", 1994.
    """
    return (node.num_hits > 0) * _TICKS + node.last_use


def priority(node: Node) -> int:
    """What only requests of low priority used first, then least recently used."""
    return node.priority * _TICKS + node.last_use


def program(node: Node) -> int:
    """Private tails of programs that have ended, then what nobody knows about, then what live ones come back to."""
    return min(node.outlook, 1) * _TICKS + node.last_use


POLICIES: Mapping[str, Rank] = MappingProxyType(
    {rank.__name__: rank for rank in (lru, lfu, slru, fifo, mru, priority, program)}
)
