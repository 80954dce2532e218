"""The exponent of a number, one of a range: the states inside it, and the moves over the digits of any number."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import TypeAlias

from grammars.regular.language import Leaf

__all__ = ["Moves", "digit_moves", "exponent_moves"]

Moves: TypeAlias = tuple[tuple[int, int, Leaf], ...]
ZERO, MINUS, PLUS, SMALL_E, LARGE_E = map(ord, "0-+eE")


@dataclass(frozen=True, slots=True)
class _Exponent:
    """In an exponent that has to be one of `first` … `last`.

    Args:
        signed: whether the sign has been read; then `first` and `last` are about the digits after it.
    """

    first: int
    last: int
    signed: bool

    nullable = False

    def moves(self) -> Moves:
        signs: list[tuple[int, int, Leaf]] = []
        first, last = self.first, self.last
        if not self.signed:
            signs += [(PLUS, PLUS, _Exponent(max(0, first), last, True))] if last >= 0 else []
            signs += [(MINUS, MINUS, _Exponent(max(0, -last), -first, True))] if first <= 0 else []
        return (*signs, *digit_moves(lambda digit: _last_digit(max(0, first), last, digit)))


@dataclass(frozen=True, slots=True)
class _LastDigit:
    """After the first digit of an exponent: it may end here if `nullable`; a digit of `first` … `last` may follow."""

    nullable: bool
    first: int
    last: int

    def moves(self) -> Moves:
        end = _LastDigit(True, 0, -1)
        return ((ZERO + self.first, ZERO + self.last, end),) if self.first <= self.last else ()


def digit_moves(successor: Callable[[int], Leaf | None], pivots: Container[int] = range(10)) -> Moves:
    """The moves over the digits; neighbours that lead to the same state make one.

    Args:
        successor: the state behind a digit, None if there is none.
        pivots: the digits that may lead elsewhere than their neighbours do.
    """
    moves: list[tuple[int, int, Leaf]] = []
    state = None
    for digit in range(10):
        if digit == 0 or digit in pivots or digit - 1 in pivots:
            state = successor(digit)
        if state is None:
            continue
        if moves and moves[-1][1] == ZERO + digit - 1 and moves[-1][2] == state:
            moves[-1] = (moves[-1][0], ZERO + digit, state)
        else:
            moves.append((ZERO + digit, ZERO + digit, state))
    return tuple(moves)


def exponent_moves(first: int, last: int) -> Moves:
    """The moves over `e` and `E` when the exponent has to be one of first … last."""
    if first > last:
        return ()
    state = _Exponent(first, last, False)
    return ((LARGE_E, LARGE_E, state), (SMALL_E, SMALL_E, state))


def _last_digit(first: int, last: int, digit: int) -> Leaf | None:
    """The state after the first digit of an exponent that has to be one of first … last."""
    ends, lowest, highest = first <= digit <= last, max(0, first - 10 * digit), min(9, last - 10 * digit)
    if lowest > highest:
        return _LastDigit(True, 0, -1) if ends else None
    return _LastDigit(ends, lowest, highest)
