"""The values that a small language spells."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from grammars.regular.language import Language

__all__ = ["few_texts"]

_Value = TypeVar("_Value")


def few_texts(language: Language, limit: int, read: Callable[[str], _Value]) -> list[_Value] | None:
    """All values that the texts of a language spell, if there are at most `limit`; else None.

    Gives up, and says None, where there are very many texts for them.
    """
    found: dict[_Value, None] = {}
    level = [("", language)]
    steps = 0
    while level:
        further: list[tuple[str, Language]] = []
        for prefix, rest in level:
            steps += 1
            if steps > 64 * limit + 4096:
                return None
            if rest.nullable:
                found[read(prefix)] = None
            if len(found) > limit:
                return None
            for low, high, after in rest.moves():
                if high - low > limit:
                    return None
                further += ((prefix + chr(code), after) for code in range(low, high + 1))
        level = further
    return list(found)
