"""What the languages of formats are put together from."""

from __future__ import annotations

import re
from typing import TypeAlias

from grammars.regular.charset import CharSet
from grammars.regular.language import Language, Languages

__all__ = ["DIGIT", "HEX", "LETTER_OR_DIGIT", "Part", "Parts", "charset"]

Part: TypeAlias = Language | CharSet | str
"""A language, one character of a set, or a text."""


def charset(text: str) -> CharSet:
    """The characters of a text in which `a-z` stands for a range; a hyphen stands for itself at the start."""
    return CharSet.of((ord(piece[0]), ord(piece[-1])) for piece in re.findall("^-|.-.|.", text, re.DOTALL))


DIGIT = charset("0-9")
HEX = charset("0-9A-Fa-f")
RANGES = tuple(
    tuple(charset(f"{low}-{high}") if low <= high else charset("") for high in range(10)) for low in range(2)
)
"""The digits `low` to `high`, by both."""
LETTER_OR_DIGIT = charset("0-9A-Za-z")


class Parts:
    """Puts languages together in one arena.

    Args:
        languages: the arena.
    """

    def __init__(self, languages: Languages) -> None:
        self.languages = languages

    def of(self, part: Part) -> Language:
        """A part as a language."""
        if isinstance(part, str):
            return self.languages.literal(part)
        return self.languages.chars(part) if isinstance(part, CharSet) else part

    def seq(self, *parts: Part) -> Language:
        """One after another."""
        return self.languages.concat(*map(self.of, parts))

    def either(self, *parts: Part) -> Language:
        """Any of them."""
        return self.languages.union(*map(self.of, parts))

    def maybe(self, *parts: Part) -> Language:
        """One after another, or nothing."""
        return self.languages.repeat(self.seq(*parts), 0, 1)

    def times(self, part: Part, low: int, high: int | None = None) -> Language:
        """One part `low` to `high` times; without end when `high` is None."""
        return self.languages.repeat(self.of(part), low, high)

    def number(self, low: int, high: int) -> Language:
        """Two digits that make a number of `low`, less than 10, to `high`, at least 10."""
        tens, ones = divmod(high, 10)
        return self.either(
            self.seq("0", RANGES[low][9]), self.seq(RANGES[1][tens - 1], DIGIT), self.seq(str(tens), RANGES[0][ones])
        )
