"""How characters are spelled inside a JSON string: escapes and UTF-16 units, as ranges."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, TypeAlias, TypeVar

__all__ = ["SHORT", "CharState", "LowSurrogate", "Moves", "Units", "controls", "cut", "find", "shifted", "utf16"]

SHORT = {0x22: 0x22, 0x5C: 0x5C, 0x08: 0x62, 0x0C: 0x66, 0x0A: 0x6E, 0x0D: 0x72, 0x09: 0x74}
"""The letter behind the backslash by character (RFC 8259, section 7)."""
HIGH_SURROGATES = 0xD800
BEYOND = 0x10000

_After = TypeVar("_After")


class CharState(Protocol):
    """A state of an automaton over characters; hashable, alive."""

    @property
    def nullable(self) -> bool:
        """Whether the text may end here."""

    def moves(self) -> tuple[tuple[int, int, CharState], ...]:
        """Ascending, disjoint ranges of code points and the state after one of them; dead ones are left out."""


Moves: TypeAlias = tuple[tuple[int, int, CharState], ...]
"""Code points (or offsets into a block of them) and what follows them."""


@dataclass(frozen=True, slots=True)
class LowSurrogate:
    """What follows a high surrogate: moves by the ten bits of the low one."""

    moves: Moves


Units: TypeAlias = tuple[tuple[int, int, CharState | LowSurrogate], ...]
"""UTF-16 units and what follows them."""


def cut(moves: tuple[tuple[int, int, _After], ...], first: int, last: int) -> tuple[tuple[int, int, _After], ...]:
    """The moves within first .. last."""
    return tuple((max(low, first), min(high, last), to) for low, high, to in moves if low <= last and high >= first)


def shifted(moves: tuple[tuple[int, int, _After], ...], base: int) -> tuple[tuple[int, int, _After], ...]:
    """The moves as offsets from `base`."""
    return tuple((low - base, high - base, after) for low, high, after in moves)


def find(moves: Moves, code: int) -> CharState | None:
    """What follows one code point."""
    for low, high, after in moves:
        if low <= code <= high:
            return after
    return None


def controls(moves: Moves) -> Units:
    """The control characters that no short escape spells."""
    return tuple(
        (code, code, after)
        for low, high, after in cut(moves, 0, 0x1F)
        for code in range(low, high + 1)
        if code not in SHORT
    )


def utf16(moves: Moves) -> Units:
    """Code points as UTF-16 units: themselves, or a high surrogate before a low one."""
    units: list[tuple[int, int, CharState | LowSurrogate]] = list(cut(moves, 0, BEYOND - 1))
    pairs = shifted(cut(moves, BEYOND, 0x10FFFF), BEYOND)
    edges = sorted({edge for low, high, _ in pairs for edge in (low >> 10, (high >> 10) + 1)})
    blocks = sorted({*edges, *(edge + 1 for edge in edges)})
    for first, until in pairwise(blocks):
        # Every move covers a whole run of blocks between two neighbouring edges, or lies in a single block.
        inside = shifted(cut(pairs, first << 10, (first << 10) + 0x3FF), first << 10)
        if inside:
            units.append((HIGH_SURROGATES + first, HIGH_SURROGATES + until - 1, LowSurrogate(inside)))
    return tuple(sorted(units, key=lambda unit: unit[0]))
