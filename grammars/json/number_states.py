"""What may follow a prefix of a number: the states of an automaton made as it is walked.

A state knows the prefix itself only while a bound still cuts through the numbers that begin with it. Afterwards it
keeps what the rest depends on: digits left, what the steps make of the prefix, exponents left.
"""

from __future__ import annotations

from dataclasses import dataclass

from grammars.json.number_exponent import Moves, digit_moves, exponent_moves
from grammars.json.number_mantissa import (
    allowed_exponents,
    completes,
    is_reachable,
    mantissa_state,
    settled_exponents,
    settled_mantissa,
    stepped,
)
from grammars.json.number_side import DECIMALS, INTEGER_DIGITS, LARGEST, UNIT, NumberSide, Window
from grammars.regular.language import Leaf

__all__ = ["NumberStart", "has_numbers_beyond_zero"]

ZERO, POINT, MINUS = map(ord, "0.-")


@dataclass(frozen=True, slots=True, eq=False)
class NumberStart:
    """Nothing read yet. A side is None where no number lies. (States of one side are made once and are themselves.)"""

    positive: NumberSide | None
    negative: NumberSide | None

    nullable = False

    def moves(self) -> Moves:
        """What may come: a digit; the sign as well, in front of everything."""
        digits = () if self.positive is None else _begins(self.positive)
        if self.negative is None or not (self.negative.plain.meets(0, LARGEST) or _begins(self.negative)):
            return digits
        return ((MINUS, MINUS, self.negative.once(_Sign)), *digits)


@dataclass(frozen=True, slots=True, eq=False)
class _Sign:
    """After the minus sign."""

    side: NumberSide

    nullable = False

    def moves(self) -> Moves:
        return _begins(self.side)


@dataclass(frozen=True, slots=True, eq=False)
class _Zero:
    """After the integer part `0`."""

    side: NumberSide

    @property
    def nullable(self) -> bool:
        return self.side.plain.holds(0)

    def moves(self) -> Moves:
        return () if self.side.whole else _optional(POINT, _fraction(self.side, 0, 0))


@dataclass(frozen=True, slots=True, eq=False)
class _Whole:
    """In an integer part that does not begin with 0.

    Args:
        prefix: its digits as a number while a bound cuts through what they begin, else None.
        fewest, most: without a prefix, how many digits have to and may still come for the bounds to allow any value.
        residue: without a prefix, the value in units, as far as the steps see it.
        digits: how many digits there are, 0 for more than one without a prefix.
        exponents: without a prefix, the exponents that the bounds leave when this is the one digit of a mantissa.
    """

    side: NumberSide
    prefix: int | None
    fewest: int
    most: int
    residue: int
    digits: int
    exponents: tuple[int, int]

    @property
    def nullable(self) -> bool:
        plain = self.side.plain
        if self.prefix is not None:
            return plain.holds(self.prefix * UNIT)
        return self.fewest <= 0 and _divides(plain, self.residue)

    def moves(self) -> Moves:
        pivots = self.side.whole_pivots(self.digits)
        return (*_optional(POINT, self._point()), *digit_moves(self._digit, pivots), *self._exponent())

    def _digit(self, digit: int) -> Leaf | None:
        if self.prefix is not None:
            return _whole(self.side, self.prefix * 10 + digit, self.digits + 1)
        if self.most < 1:
            return None
        residue = _canonical(self.side, self.residue * 10 + digit * UNIT)
        return _alive_whole(self.side, max(0, self.fewest - 1), self.most - 1, residue)

    def _point(self) -> Leaf | None:
        side = self.side
        if side.whole:
            return None
        if self.prefix is not None:
            return mantissa_state(side, self.prefix, 0, 0) if self._is_mantissa() else _fraction(side, self.prefix, 0)
        if self._is_mantissa():
            return settled_mantissa(side, 0, *self.exponents, 0)
        return _settled_fraction(side, 0, self.residue, free=False) if self.fewest <= 0 else None

    def _exponent(self) -> Moves:
        if not self._is_mantissa():
            return ()
        if self.prefix is None:
            return exponent_moves(*stepped(self.side, *self.exponents, 0))
        return exponent_moves(*allowed_exponents(self.side, self.prefix * UNIT, 0))

    def _is_mantissa(self) -> bool:
        return self.digits == 1 and self.side.scientific


@dataclass(frozen=True, slots=True, eq=False)
class _Fraction:
    """After the point of a number that no exponent can follow.

    Args:
        digits: how many decimals there are.
        prefix: all digits as a number while a bound cuts through what they begin, else None.
        residue: the value in units, as far as the steps see it.
        free: whether no number that begins like this is a multiple of an excluded step.
    """

    side: NumberSide
    digits: int
    prefix: int | None
    residue: int
    free: bool

    @property
    def nullable(self) -> bool:
        plain = self.side.plain
        if self.digits == 0:
            return False
        if self.prefix is not None:
            return plain.holds(self.prefix * 10 ** (DECIMALS - self.digits))
        return self.residue % plain.step == 0 if self.free else _divides(plain, self.residue)

    def moves(self) -> Moves:
        return digit_moves(self._digit, self.side.fraction_pivots(self.digits)) if self.digits < DECIMALS else ()

    def _digit(self, digit: int) -> Leaf | None:
        if self.prefix is not None:
            return _fraction(self.side, self.prefix * 10 + digit, self.digits + 1)
        weight = 10 ** (DECIMALS - self.digits - 1)
        return _settled_fraction(self.side, self.digits + 1, self.residue + digit * weight, self.free)


def _optional(code: int, state: Leaf | None) -> Moves:
    return () if state is None else ((code, code, state),)


def _divides(window: Window, value: int) -> bool:
    return value % window.step == 0 and all(value % other != 0 for other in window.excluded)


def _begins(side: NumberSide) -> Moves:
    """The first digits that some number of a side has."""
    zero = ((ZERO, ZERO, side.once(_Zero)),) if side.plain.meets(0, UNIT - 1) else ()
    return (*zero, *_begins_whole(side))


def _begins_whole(side: NumberSide) -> Moves:
    """The first digits but 0."""
    pivots = {0, *side.whole_pivots(0), *side.mantissa_pivots(0)}
    return digit_moves(lambda digit: _whole(side, digit, 1) if digit else None, pivots)


def has_numbers_beyond_zero(side: NumberSide) -> bool:
    """Whether bounds and steps allow another number on a side than 0."""
    return side.plain.meets(1, LARGEST) or bool(_begins_whole(side))


def _canonical(side: NumberSide, value: int) -> int:
    """A value in units, inside the integer part, reduced to what the steps can tell apart later on."""
    residue: int = value % side.modulus
    if residue == 0 or not side.scientific:
        return residue
    power = UNIT  # powers of ten ask for zeros at the end, whatever stands before them
    while residue % (power * 10) == 0:
        power *= 10
    return power


def _whole(side: NumberSide, prefix: int, digits: int) -> Leaf | None:
    """The state after an integer part, None when no number goes on like that."""
    if digits > INTEGER_DIGITS:
        return None
    plain = side.plain
    fewest, most, settled = side.low_digits + 1 - digits, side.high_digits - 1 - digits, True
    for more in {side.low_digits - digits, side.high_digits - digits}:
        if more < 0:
            continue
        first, last = prefix * UNIT * 10**more, (prefix + 1) * UNIT * 10**more - 1
        if first < plain.low <= last or first <= plain.high < last:
            settled = False
        elif plain.low <= first and last <= plain.high:
            fewest, most = min(fewest, more), max(most, more)
    mantissa = digits == 1 and side.scientific
    exponents = settled_exponents(side, prefix * UNIT, UNIT) if mantissa else (0, -1)
    if settled and exponents is not None:
        residue = _canonical(side, prefix * UNIT)
        return _alive_whole(side, max(0, fewest), most, residue, *((1, exponents) if mantissa else ()))
    span = range(INTEGER_DIGITS - digits, -1, -1)
    if any(plain.meets(prefix * UNIT * 10**more, (prefix + 1) * UNIT * 10**more - 1) for more in span) or (
        mantissa and completes(side, prefix * UNIT, UNIT, 0)
    ):
        return side.once(_Whole, prefix, 0, 0, 0, digits, (0, -1))
    return None


def _alive_whole(
    side: NumberSide, fewest: int, most: int, residue: int, digits: int = 0, exponents: tuple[int, int] = (0, -1)
) -> Leaf | None:
    """The state after an integer part that no bound cuts any more, None when no number goes on like that."""
    return side.once(_settled_whole, fewest, most, residue, digits, exponents)


def _settled_whole(
    side: NumberSide, fewest: int, most: int, residue: int, digits: int, exponents: tuple[int, int]
) -> Leaf | None:
    if not _has_multiple(side, fewest, most, residue):
        if digits != 1 or not is_reachable(side, 0, *exponents, 0):
            return None
        fewest, most, residue = 1, 0, 0
    return side.once(_Whole, None, fewest, most, residue, digits, exponents)


def _has_multiple(side: NumberSide, fewest: int, most: int, residue: int) -> bool:
    """Whether the steps allow some value once `fewest` … `most` more digits and any decimals have come."""
    if side.modulus == 1:
        return fewest <= most
    window = Window(0, residue * 10**INTEGER_DIGITS + LARGEST, side.plain.step, side.plain.excluded)
    return any(
        window.meets(residue * 10**more, (residue + UNIT) * 10**more - 1) for more in range(most, fewest - 1, -1)
    )


def _fraction(side: NumberSide, prefix: int, digits: int) -> Leaf | None:
    """The state after `digits` decimals, `prefix` being all digits; None when no number goes on like that."""
    unit = 10 ** (DECIMALS - digits)
    first, last = prefix * unit, (prefix + 1) * unit - 1
    plain = side.plain
    if plain.low <= first and last <= plain.high:
        return _settled_fraction(side, digits, first, free=False)
    return side.once(_Fraction, digits, prefix, 0, False) if plain.meets(first, last) else None


def _settled_fraction(side: NumberSide, digits: int, value: int, free: bool) -> Leaf | None:
    """The state after `digits` decimals of a value, in units, that no bound cuts any more."""
    return side.once(_open_fraction, digits, value % side.modulus, free)


def _open_fraction(side: NumberSide, digits: int, residue: int, free: bool) -> Leaf | None:
    plain, span = side.plain, 10 ** (DECIMALS - digits)
    free = free or all(-residue % other >= span for other in plain.excluded)
    if free:
        residue %= plain.step
        return side.once(_Fraction, digits, None, residue, True) if -residue % plain.step < span else None
    window = Window(residue, residue + span - 1, plain.step, plain.excluded)
    return side.once(_Fraction, digits, None, residue, False) if window.meets(residue, residue + span - 1) else None
