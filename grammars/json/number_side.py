"""One side of zero of a set of numbers, as windows of whole numbers that spelled digits are compared with."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar, cast

from grammars.json.number_set import Bound, NumberPiece, Written, power_of_ten

__all__ = ["DECIMALS", "EXPONENT", "INTEGER_DIGITS", "LARGEST", "UNIT", "NumberSide", "Window", "magnitude", "sides_of"]

INTEGER_DIGITS, DECIMALS, EXPONENT = 19, 17, 99
"""Most digits before the point, most after it, and the farthest exponent from zero."""
UNIT: int = 10**DECIMALS
"""Plain values and mantissas are counted in units of 1 / UNIT."""
LARGEST: int = 10**INTEGER_DIGITS * UNIT - 1

_Made = TypeVar("_Made")


@dataclass(frozen=True, slots=True)
class Window:
    """Whole numbers from `low` to `high` that are multiples of `step` and of none of `excluded`."""

    low: int
    high: int
    step: int = 1
    excluded: tuple[int, ...] = ()

    def holds(self, value: int) -> bool:
        """Whether a number is one of them."""
        return (
            self.low <= value <= self.high
            and value % self.step == 0
            and all(value % other != 0 for other in self.excluded)
        )

    def meets(self, first: int, last: int) -> bool:
        """Whether one of them lies in first … last."""
        value = -(-max(first, self.low) // self.step) * self.step
        last = min(last, self.high)
        if not self.excluded:
            return value <= last
        # Of 2**n consecutive multiples, n excluded steps cannot hit all (Kanold's bound on Jacobsthal's function).
        last = min(last, value + (self.step << len(self.excluded)))
        while value <= last:
            if all(value % other != 0 for other in self.excluded):
                return True
            value += self.step
        return False


class NumberSide:
    """The magnitudes that one piece allows on one side of zero.

    Args:
        low, high: its bounds, `low` at least 0; `high` None for no end.
        piece: the piece, of which the steps matter, and how its numbers are written.

    Attributes:
        plain: the magnitudes spelled without exponent, in units.
        modulus: what the steps can tell apart: two values that differ by a multiple of it, in units.
        low_digits, high_digits: digits of the integer part of the lowest and the highest plain magnitude, 0 for 0.
        whole: whether there are only spellings without point and exponent.
        scientific: whether every step is a power of ten and not all is whole; only then there are exponents.
        step_exponent: p when values have to be multiples of 10**p.
        excluded_exponent: p when values may not be multiples of 10**p.
        full_exponents: the first and the last exponent at which the bounds allow every mantissa; none if first > last.
        cut_exponents: the at most two exponents at which the bounds leave only some mantissas, those in the window.
    """

    __slots__ = (
        "_high",
        "_low",
        "_made",
        "_wholes",
        "cut_exponents",
        "excluded_exponent",
        "full_exponents",
        "high_digits",
        "low_digits",
        "modulus",
        "plain",
        "scientific",
        "step_exponent",
        "whole",
    )

    def __init__(self, low: Bound, high: Bound | None, piece: NumberPiece) -> None:
        self._low, self._high = low, high
        self._made: dict[Hashable, object] = {}
        self.whole = piece.written is Written.WHOLE
        step = 1 if piece.step is None else _in_units(piece.step)
        highest = LARGEST if high is None else min(LARGEST, _last(high, UNIT, 1))
        self.plain = Window(_first(low, UNIT, 1), highest, step, tuple(sorted(map(_in_units, piece.excluded))))
        self.modulus = math.lcm(step, *self.plain.excluded)
        self._wholes = tuple(
            str(bound // UNIT).strip("0-") and str(bound // UNIT) for bound in (self.plain.low, highest)
        )
        self.low_digits, self.high_digits = map(len, self._wholes)
        self.step_exponent = None if piece.step is None else power_of_ten(piece.step)
        powers = [power_of_ten(other) for other in piece.excluded]
        self.excluded_exponent = min((power for power in powers if power is not None), default=None)
        tens = None not in powers and (piece.step is None or self.step_exponent is not None)
        self.scientific = tens and not self.whole
        self.full_exponents, self.cut_exponents = self._exponents() if self.scientific else ((0, -1), {})

    def _exponents(self) -> tuple[tuple[int, int], dict[int, Window]]:
        first = magnitude(self._low.value) if self._low.value else -EXPONENT
        last = EXPONENT if self._high is None else magnitude(self._high.value) if self._high.value else -EXPONENT - 1
        start, end = max(first, -EXPONENT), min(last, EXPONENT)
        cut = {}
        for exponent in {start, end} if start <= end else ():
            window = self._mantissas(exponent)
            if (window.low, window.high) != (UNIT, 10 * UNIT - 1):
                cut[exponent] = window
        full = start + (start in cut), end - (end in cut)
        return full, {exponent: window for exponent, window in cut.items() if window.low <= window.high}

    def _mantissas(self, exponent: int) -> Window:
        """The mantissas, 1 to below 10 and in units, that are allowed at an exponent."""
        scale = (UNIT * 10 ** max(0, -exponent), 10 ** max(0, exponent))
        low = max(UNIT, _first(self._low, *scale))
        high = min(10 * UNIT - 1, 10 * UNIT - 1 if self._high is None else _last(self._high, *scale))
        step = 1 if self.step_exponent is None else _power(self.step_exponent - exponent)
        excluded = () if self.excluded_exponent is None else (_power(self.excluded_exponent - exponent),)
        return Window(low, high, step, excluded)

    def once(self, make: Callable[..., _Made], *fields: Hashable) -> _Made:
        """What is made of this side and the fields: made once, so that equal states are the same object."""
        key = (make, *fields)
        found = self._made.get(key, self)
        if found is self:
            found = self._made[key] = make(self, *fields)
        return cast(_Made, found)

    def whole_pivots(self, digits: int) -> set[int] | range:
        """The digits behind `digits` digits of an integer part that may lead elsewhere than their neighbours do."""
        if UNIT % self.modulus and not self.scientific:
            return range(10)
        pivots = {int(text[digits]) for text in self._wholes if digits < len(text)}
        return pivots if UNIT % self.modulus == 0 else pivots | {0}

    def fraction_pivots(self, digits: int) -> set[int] | range:
        """Likewise behind `digits` decimals."""
        if not self.scientific:
            return range(10)
        weight = 10 ** (DECIMALS - digits - 1)
        return {0, self.plain.low // weight % 10, max(0, self.plain.high) // weight % 10}

    def mantissa_pivots(self, digits: int) -> set[int]:
        """Likewise behind `digits` digits of a mantissa, the one before the point among them."""
        weight = 10 ** (DECIMALS - digits)
        return {bound // weight % 10 for window in self.cut_exponents.values() for bound in (window.low, window.high)}


def sides_of(piece: NumberPiece) -> tuple[NumberSide | None, NumberSide | None]:
    """The positive and the negative side of a piece, the latter by its magnitudes; None where it has nothing.

    Zero belongs to both: `-0` is 0.
    """
    low, high = piece.low, piece.high
    return (
        _side(low, high, piece),
        _side(high and Bound(-high.value, high.is_open), low and Bound(-low.value, low.is_open), piece),
    )


def _side(low: Bound | None, high: Bound | None, piece: NumberPiece) -> NumberSide | None:
    if high is not None and (high.value < 0 or (high.value == 0 and high.is_open)):
        return None
    if low is None or low.value < 0:
        low = Bound(Fraction(0), False)
    return NumberSide(low, high, piece)


def _first(bound: Bound, up: int, down: int) -> int:
    """The lowest whole number that a lower bound allows, once it is multiplied by up / down."""
    scaled, divisor = bound.value.numerator * up, bound.value.denominator * down
    return scaled // divisor + 1 if bound.is_open else -(-scaled // divisor)


def _last(bound: Bound, up: int, down: int) -> int:
    """The highest whole number that an upper bound allows, once it is multiplied by up / down."""
    scaled, divisor = bound.value.numerator * up, bound.value.denominator * down
    return -(-scaled // divisor) - 1 if bound.is_open else scaled // divisor


def _in_units(step: Fraction) -> int:
    """The step between those multiples that are whole units."""
    return step.numerator * UNIT // math.gcd(UNIT, step.denominator)


def _power(exponent: int) -> int:
    """10**exponent of a step in mantissas, in units: at least one unit."""
    power: int = 10 ** max(0, exponent + DECIMALS)
    return power


def magnitude(value: Fraction) -> int:
    """The exponent of the leading digit of a positive value."""
    exponent = math.floor(math.log10(value.numerator) - math.log10(value.denominator))
    if _is_below(value, exponent):  # logarithms are rounded
        return exponent - 1
    return exponent if _is_below(value, exponent + 1) else exponent + 1


def _is_below(value: Fraction, exponent: int) -> bool:
    """Whether a value is below 10**exponent."""
    return bool(value.numerator * 10 ** max(0, -exponent) < value.denominator * 10 ** max(0, exponent))
