"""A mantissa, one digit before the point: the states inside it, and the exponents that bounds and steps leave it.

A state knows the digits themselves only while a bound still cuts through the mantissas that begin with them.
"""

from __future__ import annotations

from dataclasses import dataclass

from grammars.json.number_exponent import Moves, digit_moves, exponent_moves
from grammars.json.number_side import DECIMALS, NumberSide
from grammars.regular.language import Leaf

__all__ = [
    "allowed_exponents",
    "completes",
    "is_reachable",
    "mantissa_state",
    "settled_exponents",
    "settled_mantissa",
    "stepped",
]


@dataclass(frozen=True, slots=True, eq=False)
class _Mantissa:
    """After the point behind a single digit that is not 0: an exponent may follow.

    Args:
        digits: how many decimals there are.
        prefix: all digits as a number while a bound cuts through what they begin, else None.
        first, last: the exponents that bounds (and, without a prefix, the step) leave.
        places: decimals up to the last one that is not 0, where a step depends on that.
    """

    side: NumberSide
    digits: int
    prefix: int | None
    first: int
    last: int
    places: int

    @property
    def nullable(self) -> bool:
        first, last = self._allowed()
        return self.digits > 0 and first <= 0 <= last

    def moves(self) -> Moves:
        digits = digit_moves(self._digit, self._pivots()) if self.digits < DECIMALS else ()
        return (*digits, *exponent_moves(*self._allowed())) if self.digits else digits

    def _pivots(self) -> set[int]:
        return {0} if self.prefix is None else self.side.mantissa_pivots(self.digits + 1) | {0}

    def _allowed(self) -> tuple[int, int]:
        if self.prefix is None:
            return stepped(self.side, self.first, self.last, self.places)
        return allowed_exponents(self.side, self.prefix * 10 ** (DECIMALS - self.digits), self.places)

    def _digit(self, digit: int) -> Leaf | None:
        places = self.digits + 1 if digit else self.places
        if self.prefix is not None:
            return mantissa_state(self.side, self.prefix * 10 + digit, self.digits + 1, places)
        return settled_mantissa(self.side, self.digits + 1, self.first, self.last, places)


def stepped(side: NumberSide, first: int, last: int, places: int) -> tuple[int, int]:
    """Exponents of first … last at which the steps allow a mantissa with that many decimals."""
    if side.step_exponent is not None:
        first = max(first, side.step_exponent + places)
    if side.excluded_exponent is not None:
        last = min(last, side.excluded_exponent + places - 1)
    return first, last


def settled_exponents(side: NumberSide, value: int, span: int) -> tuple[int, int] | None:
    """The exponents the bounds leave for mantissas value … value + span - 1; None while a bound cuts through them."""
    first, last = side.full_exponents
    for exponent, window in side.cut_exponents.items():
        if window.low <= value and value + span - 1 <= window.high:
            first, last = (min(first, exponent), max(last, exponent)) if first <= last else (exponent, exponent)
        elif value + span > window.low and value <= window.high:
            return None
    return first, last


def allowed_exponents(side: NumberSide, value: int, places: int) -> tuple[int, int]:
    """The exponents that bounds and steps allow for exactly this mantissa."""
    exponents = settled_exponents(side, value, 1)
    return stepped(side, *exponents, places) if exponents else (0, -1)


def is_reachable(side: NumberSide, digits: int, first: int, last: int, places: int) -> bool:
    """Whether some exponent of first … last suits the mantissa or one with more digits."""
    reached, final = stepped(side, first, last, places)
    if reached <= final or side.excluded_exponent is None:
        return reached <= final
    for more in range(digits + 1, DECIMALS + 1):
        reached, final = stepped(side, first, last, more)
        if reached <= final:
            return True
    return False


def completes(side: NumberSide, value: int, span: int, places: int) -> bool:
    """Whether some mantissa of value … value + span - 1 has an exponent."""
    if any(window.meets(value, value + span - 1) for window in side.cut_exponents.values()):
        return True
    digits = DECIMALS + 1 - len(str(span))
    return is_reachable(side, digits, *side.full_exponents, places)


def mantissa_state(side: NumberSide, prefix: int, digits: int, places: int) -> Leaf | None:
    """The state after a mantissa's point and `digits` decimals; None when no number goes on like that."""
    span = 10 ** (DECIMALS - digits)
    exponents = settled_exponents(side, prefix * span, span)
    if exponents is not None:
        return settled_mantissa(side, digits, *exponents, places)
    if not completes(side, prefix * span, span, places):
        return None
    return side.once(_Mantissa, digits, prefix, 0, -1, places)


def settled_mantissa(side: NumberSide, digits: int, first: int, last: int, places: int) -> Leaf | None:
    """The state after a mantissa whose exponents the bounds settle, None when no number goes on like that."""
    return side.once(_settled_mantissa, digits, first, last, places)


def _settled_mantissa(side: NumberSide, digits: int, first: int, last: int, places: int) -> Leaf | None:
    if not is_reachable(side, digits, first, last, places):
        return None
    if side.excluded_exponent is None:
        first, last = stepped(side, first, last, places)
        places = 0
    return side.once(_Mantissa, digits, None, first, last, places)
