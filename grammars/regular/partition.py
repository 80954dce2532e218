"""Characters cut into ranges with one successor each: what derivatives are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from grammars.regular.term import Language

__all__ = ["ALPHABET", "Moves", "cover", "joined", "mapped", "overlaid"]

Moves: TypeAlias = "tuple[tuple[int, int, Language], ...]"
"""Ascending, disjoint, inclusive ranges of code points, each with the language of what may follow."""

ALPHABET = ((0, 0xD7FF), (0xE000, 0x10FFFF))
"""Every character: the Unicode scalar values. Surrogates are none, for UTF-8 has no bytes for them."""


def joined(pieces: Iterable[tuple[int, int, Language]]) -> Moves:
    """Ascending pieces with neighbours of one successor made one."""
    out: list[tuple[int, int, Language]] = []
    last: Language | None = None
    end = -2
    for low, high, after in pieces:
        if after is last and low == end + 1:
            out[-1] = (out[-1][0], high, after)
        else:
            out.append((low, high, after))
        last, end = after, high
    return tuple(out)


def mapped(moves: Moves, change: Callable[[Language], Language | None]) -> Moves:
    """The same ranges with `change` of each successor; None drops a range."""
    if len(moves) == 1:
        low, high, after = moves[0]
        changed = change(after)
        return () if changed is None else ((low, high, changed),)
    seen: dict[Language, Language | None] = {}
    pieces = []
    for low, high, after in moves:
        if after not in seen:
            seen[after] = change(after)
        changed = seen[after]
        if changed is not None:
            pieces.append((low, high, changed))
    return joined(pieces)


def overlaid(parts: Sequence[Moves], combine: Callable[[tuple[Language, ...]], Language | None]) -> Moves:
    """Lays partitions over each other.

    Args:
        parts: the partitions.
        combine: called once for each different tuple of successors that some character has (one for each part that
            has that character, in no fixed order); None drops the range.
    """
    if len(parts) == 1:
        return mapped(parts[0], lambda after: combine((after,)))
    events: dict[int, list[tuple[int, Language | None]]] = {}
    for index, part in enumerate(parts):
        for low, high, after in part:
            events.setdefault(low, []).append((index, after))
            # An end is applied before a start at the same place, because it was entered before it.
            events.setdefault(high + 1, []).append((index, None))
    active: dict[int, Language] = {}
    seen: dict[tuple[Language, ...], Language | None] = {}
    pieces: list[tuple[int, int, Language]] = []
    start = 0
    for point in sorted(events):
        if active:
            key = tuple(active.values())
            if key not in seen:
                seen[key] = combine(key)
            combined = seen[key]
            if combined is not None:
                pieces.append((start, point - 1, combined))
        for index, begun in events[point]:
            if begun is None:
                del active[index]
            else:
                active[index] = begun
        start = point
    return joined(pieces)


def cover(moves: Moves, change: Callable[[Language], Language | None], rest: Language) -> Moves:
    """`mapped`, with `rest` after every character that has no move."""
    pieces: list[tuple[int, int, Language]] = []
    inner = mapped(moves, change)
    # Ranges whose successor changed into None are no gap: only what `moves` itself leaves out is.
    for first, last in ALPHABET:
        start = first
        for low, high, _ in moves:
            if high < first or low > last:
                continue
            if start < low:
                pieces.append((start, low - 1, rest))
            start = high + 1
        if start <= last:
            pieces.append((start, last, rest))
    return joined(sorted([*inner, *pieces], key=lambda piece: piece[0]))
