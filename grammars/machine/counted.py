"""Languages that are some class of characters so many times: told apart by a count instead of by states."""

from __future__ import annotations

from grammars.machine.spelling import CharState
from grammars.regular.kinds import Chars, Repeat
from grammars.regular.language import Language, Languages

__all__ = ["left", "with_counts"]

FEW = 16
"""Repetitions up to which states are as cheap as a count."""


def left(chars: CharState) -> tuple[int, int | None]:
    """Fewest and most characters still to come in a language."""
    if not isinstance(chars, Language):
        raise TypeError(f"{chars!r} is no language")
    return chars.shortest, chars.longest


def with_counts(
    languages: Languages, language: Language, low: int, high: int | None
) -> tuple[Language, int, int | None]:
    """The same strings with as much as possible of what is said about their length said in counts.

    Args:
        languages: the arena.
        language: the strings that are meant, if they have
        low, high: so many characters; None for no most.

    Returns:
        Language, fewest and most characters.
    """
    if isinstance(language, Repeat) and isinstance(language.item, Chars):
        least, most = language.low, language.high
        if max(least, most or 0) > FEW:
            ends = [end for end in (most, high) if end is not None]
            return languages.repeat(language.item, 0, None), max(least, low), min(ends, default=None)
    return language, low, high
