"""Sets of Unicode characters as sorted ranges."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

__all__ = ["CharSet", "common"]

LAST = 0x10FFFF
SURROGATES = (0xD800, 0xDFFF)


@dataclass(frozen=True, slots=True)
class CharSet:
    """Characters as ascending, disjoint, inclusive ranges of code points; surrogates are in none."""

    ranges: tuple[tuple[int, int], ...]

    ALL: ClassVar[CharSet]
    DIGITS: ClassVar[CharSet]
    WORD: ClassVar[CharSet]
    SPACES: ClassVar[CharSet]

    @classmethod
    def of(cls, ranges: Iterable[tuple[int, int]]) -> CharSet:
        """Makes a set of inclusive ranges in any order, without surrogates, which no UTF-8 text has."""
        merged: list[tuple[int, int]] = []
        end = -2
        for low, high in sorted(ranges):
            if high < low:
                continue
            if low > end + 1:
                merged.append((low, high))
                end = high
            elif high > end:
                end = high
                merged[-1] = (merged[-1][0], high)
        if any(low <= SURROGATES[1] and high >= SURROGATES[0] for low, high in merged) or end > LAST:
            merged = [piece for pair in merged for piece in _without_surrogates(*pair)]
        return cls(tuple(merged))

    @classmethod
    def one(cls, char: str) -> CharSet:
        """One character; none if it is a surrogate."""
        code = ord(char)
        return cls(()) if SURROGATES[0] <= code <= SURROGATES[1] else cls(((code, code),))

    @classmethod
    def chars(cls, text: str) -> CharSet:
        """The characters of `text`."""
        return cls.of((ord(char), ord(char)) for char in text)

    def __bool__(self) -> bool:
        return bool(self.ranges)

    def __contains__(self, char: str) -> bool:
        index = bisect_right(self.ranges, (ord(char), LAST)) - 1
        return index >= 0 and ord(char) <= self.ranges[index][1]

    def __or__(self, other: CharSet) -> CharSet:
        return CharSet.of(self.ranges + other.ranges)

    def __sub__(self, other: CharSet) -> CharSet:
        return self & other.complement()

    def __and__(self, other: CharSet) -> CharSet:
        return CharSet(tuple(common(self.ranges, other.ranges)))

    @property
    def single(self) -> str | None:
        """Its character, if it has just one."""
        if len(self.ranges) != 1:
            return None
        low, high = self.ranges[0]
        return chr(low) if low == high else None

    def complement(self) -> CharSet:
        """Every other character."""
        gaps = []
        start = 0
        for low, high in (*self.ranges, (LAST + 1, LAST + 1)):
            if start < low:
                if start <= SURROGATES[1] and low > SURROGATES[0]:
                    gaps += _without_surrogates(start, low - 1)
                else:
                    gaps.append((start, low - 1))
            start = high + 1
        return CharSet(tuple(gaps))

    def both_cases(self) -> CharSet:
        """With the other case of every ASCII letter in it."""
        swapped = []
        for low, high in self.ranges:
            for first, last, shift in ((65, 90, 32), (97, 122, -32)):
                swapped.append((max(low, first) + shift, min(high, last) + shift))
        return self | CharSet.of(swapped)

    def render(self) -> str:
        """As a regex set that Python and Rust read alike, without U+10FFFF.

        Unicode assigns that to no character; `grammars.engines.outlines` marks both ends of a text with it.
        """
        ranges = [(low, min(high, LAST - 1)) for low, high in self.ranges if low < LAST]
        if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
            return _spelled(ranges[0][0])
        if not ranges:
            return "[^\\x00-\\U0010FFFF]"
        pieces = (_spelled(low) if low == high else f"{_spelled(low)}-{_spelled(high)}" for low, high in ranges)
        return f"[{''.join(pieces)}]"


def common(one: Sequence[tuple[int, int]], other: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """What two ascending sequences of ranges have in common."""
    out, i, j = [], 0, 0
    while i < len(one) and j < len(other):
        low, high = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if low <= high:
            out.append((low, high))
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
    return out


def _without_surrogates(low: int, high: int) -> list[tuple[int, int]]:
    pieces = [(low, min(high, SURROGATES[0] - 1)), (max(low, SURROGATES[1] + 1), min(high, LAST))]
    return [(first, last) for first, last in pieces if first <= last]


def _spelled(code: int) -> str:
    if code < 0x80 and chr(code).isalnum():
        return chr(code)
    if code < 0x100:
        return f"\\x{code:02X}"
    return f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"


CharSet.ALL = CharSet.of([(0, LAST)])
CharSet.DIGITS = CharSet.of([(48, 57)])
CharSet.WORD = CharSet.of([(48, 57), (65, 90), (95, 95), (97, 122)])
CharSet.SPACES = CharSet.chars(" \t\n\r\f\v")
