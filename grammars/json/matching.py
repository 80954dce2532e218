"""Whether different values can be chosen out of several sets."""

from __future__ import annotations

from collections.abc import Hashable, Sequence, Set
from typing import TypeVar

__all__ = ["can_match"]

_Value = TypeVar("_Value", bound=Hashable)


def can_match(choices: Sequence[Set[_Value]], taken: Set[_Value]) -> bool:
    """Whether each set can have a value of its own, none of them taken: bipartite matching by augmenting paths."""
    owner: dict[_Value, int] = {}

    def place(at: int, tried: set[_Value]) -> bool:
        for value in choices[at]:
            if value in taken or value in tried:
                continue
            tried.add(value)
            if value not in owner or place(owner[value], tried):
                owner[value] = at
                return True
        return False

    return all(place(at, set()) for at in range(len(choices)))
