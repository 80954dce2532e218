"""Sets of numbers as unions of pieces: intervals, less some numbers, and what their numbers are multiples of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Flag, auto
from fractions import Fraction
from typing import TypeAlias, cast

from grammars.errors import GrammarLimit
from grammars.json.node import MultipleOf, NumberIn, WrittenWhole

__all__ = ["ANY_NUMBER", "MAX_PIECES", "Bound", "Formula", "NumberPiece", "Written", "pieces_of", "power_of_ten"]

Formula: TypeAlias = NumberIn | MultipleOf | WrittenWhole | tuple[object, ...]
"""One of these nodes, or `("all", formula, …)` and `("any", formula, …)`, nested; the formulas may also come as one
tuple: `("all", (formula, …))`."""

MAX_PIECES = 512
"""Most intervals a formula may come apart into, not counting those of one number."""
MOST_COMPARED = 16
"""Most intervals that are compared with each other, which takes time quadratic in their number."""
FARTHEST = 400
"""Beyond 10**±400 lies no number that has a spelling here, nor any digit of one."""
MAX_DIGITS = 1000
"""Most digits of a bound or a step."""
EXACT_INTEGERS = 2**53
"""Below this, every integer is a float, so rounding never reaches the next one."""


@dataclass(frozen=True, slots=True)
class Bound:
    """An end of an interval; an `is_open` one is not in it."""

    value: Fraction
    is_open: bool


class Written(Flag):
    """How a number is spelled: `WHOLE` without fraction and exponent, `PARTED` with one of them."""

    WHOLE = auto()
    PARTED = auto()
    ANYHOW = WHOLE | PARTED


@dataclass(frozen=True, slots=True)
class NumberPiece:
    """Numbers from `low` to `high` (None: no end), multiples of `step` (None: any) and of none of `excluded`.

    None of `holes` is in it; only spellings as `written` says are. A piece of whole spellings has a whole step.
    """

    low: Bound | None = None
    high: Bound | None = None
    step: Fraction | None = None
    excluded: frozenset[Fraction] = frozenset()
    holes: frozenset[Fraction] = frozenset()
    written: Written = Written.ANYHOW

    @property
    def point(self) -> Fraction | None:
        """The only number that may be in it, when there is only one by its bounds."""
        return self.low.value if self.low and self.high and self.low.value == self.high.value else None

    @property
    def is_simple(self) -> bool:
        """Whether it has no more than bounds, and perhaps only integers."""
        return self.step in (None, 1) and not (self.excluded or self.holes)

    def is_void(self) -> bool:
        """Whether bounds or steps contradict each other outright. False does not mean that a number is in it."""
        if self.low and self.high:
            low, high = self.low, self.high
            if low.value > high.value or (low.value == high.value and (low.is_open or high.is_open)):
                return True
        if not self.written or (self.holes and self.point in self.holes):
            return True
        return self.step is not None and any(self.step % other == 0 for other in self.excluded)

    def is_apart(self, other: NumberPiece) -> bool:
        """Whether one lies wholly below the other."""
        return _is_below(self.high, other.low) or _is_below(other.high, self.low)

    def meet(self, other: NumberPiece) -> NumberPiece:
        """The numbers in both."""
        steps = [piece.step for piece in (self, other) if piece.step is not None]
        return NumberPiece(
            _tighter(self.low, other.low, 1),
            _tighter(self.high, other.high, -1),
            _common_multiple(steps) if steps else None,
            self.excluded | other.excluded,
            self.holes | other.holes,
            self.written & other.written,
        )

    def covers(self, other: NumberPiece) -> bool:
        """Whether every number of `other` is plainly in this one too."""
        return (
            _tighter(self.low, other.low, 1) == other.low
            and _tighter(self.high, other.high, -1) == other.high
            and (self.step is None or (other.step is not None and other.step % self.step == 0))
            and all(any(step % kept == 0 for kept in other.excluded) for step in self.excluded)
            and self.holes <= other.holes
            and other.written in self.written
        )


ANY_NUMBER = NumberPiece()
WHOLE_NUMBER = NumberPiece(step=Fraction(1), written=Written.WHOLE)


def pieces_of(formula: Formula) -> tuple[NumberPiece, ...]:
    """The pieces whose union is the set a formula describes; some may hold no number.

    Raises:
        GrammarLimit: more than `MAX_PIECES` pieces, or a step of absurd size.
    """
    if isinstance(formula, NumberIn):
        return _kept([_between(formula)])
    if isinstance(formula, MultipleOf):
        return _multiples(formula)
    if isinstance(formula, WrittenWhole):
        return (NumberPiece(written=Written.PARTED) if formula.negated else WHOLE_NUMBER,)
    kind, *items = formula
    if len(items) == 1 and isinstance(items[0], tuple) and (not items[0] or not isinstance(items[0][0], str)):
        items = list(items[0])
    hole = _hole(items) if kind == "any" else None
    if hole is not None:
        return (NumberPiece(holes=frozenset((hole,))),)
    parts = [pieces_of(cast(Formula, item)) for item in items]
    if kind == "any":
        return _kept([piece for part in parts for piece in part])
    pieces: tuple[NumberPiece, ...] = (ANY_NUMBER,)
    for part in parts:
        if len(pieces) * len(part) > MAX_PIECES**2:
            raise GrammarLimit(f"number: its constraints come apart into more than {MAX_PIECES**2} intervals")
        pieces = _possible([one.meet(other) for one in pieces for other in part if not one.is_apart(other)])
    return _kept(pieces)


def power_of_ten(step: Fraction) -> int | None:
    """The exponent of a step that is a power of ten, None for any other."""
    digits = str(step.numerator if step.denominator == 1 else step.denominator)
    if digits.strip("0") != "1" or (step.denominator != 1 and step.numerator != 1):
        return None
    return len(digits) - 1 if step.denominator == 1 else 1 - len(digits)


def _possible(pieces: Sequence[NumberPiece]) -> tuple[NumberPiece, ...]:
    """Without void pieces."""
    possible = tuple(piece for piece in pieces if not piece.is_void())
    if sum(piece.point is None for piece in possible) > MAX_PIECES:
        raise GrammarLimit(f"number: its constraints come apart into more than {MAX_PIECES} intervals")
    return possible


def _kept(pieces: Sequence[NumberPiece]) -> tuple[NumberPiece, ...]:
    """Without void pieces, and without those that another one covers."""
    pieces = _possible(pieces)
    wide = [piece for piece in pieces if piece.point is None]
    if len(pieces) == 1 or len(wide) > MOST_COMPARED:
        return pieces
    distinct = dict.fromkeys(pieces)
    return tuple(piece for piece in distinct if not any(other != piece and other.covers(piece) for other in wide))


def _is_below(high: Bound | None, low: Bound | None) -> bool:
    return high is not None and low is not None and high.value < low.value


def _hole(items: Sequence[object]) -> Fraction | None:
    """The one number that is neither below nor above, as `not` of a constant says it; None for anything else."""
    if len(items) != 2:
        return None
    below, above = items
    if not (isinstance(below, NumberIn) and isinstance(above, NumberIn)):
        return None
    if below.low is not None:
        below, above = above, below
    value = below.high
    if value is None or value != above.low or below.low is not None or above.high is not None:
        return None
    _check_size(value)
    far = value != 0 and abs(value.adjusted()) > FARTHEST
    return Fraction(value) if below.high_open and above.low_open and not far else None


def _between(node: NumberIn) -> NumberPiece:
    low = None if node.low is None else _bound(node.low, node.low_open, 1)
    high = None if node.high is None else _bound(node.high, node.high_open, -1)
    return NumberPiece(low, high)


def _multiples(node: MultipleOf) -> tuple[NumberPiece, ...]:
    step = _step(node.step)
    if node.negated:
        return (NumberPiece(excluded=frozenset((step,))),)
    return (NumberPiece(step=step),)


def _tighter(one: Bound | None, other: Bound | None, side: int) -> Bound | None:
    """The bound that leaves less, of two lower (side 1) or two upper (side -1) ones."""
    if one is None or other is None:
        return one or other
    return max(one, other, key=lambda bound: (bound.value * side, bound.is_open))


def _common_multiple(steps: Sequence[Fraction]) -> Fraction:
    return Fraction(math.lcm(*(step.numerator for step in steps)), math.gcd(*(step.denominator for step in steps)))


def _bound(value: Decimal, is_open: bool, side: int) -> Bound:
    """A bound as a fraction, on `side` 1 (lower) or -1. An open one is moved past what floats would round onto it."""
    _check_size(value)
    if value and abs(value.adjusted()) > FARTHEST:
        limit = FARTHEST if value.adjusted() > 0 else -FARTHEST
        value, is_open = Decimal((value.as_tuple().sign, (1,), limit)), True
    exact = Fraction(value)
    if is_open and exact and abs(exact) < EXACT_INTEGERS:
        # A reader that makes floats of numbers reads what lies next to the bound as the bound itself.
        nearest = float(exact)
        exact = (Fraction(nearest) + Fraction(math.nextafter(nearest, side * math.inf))) / 2
    return Bound(exact, is_open)


def _check_size(value: Decimal) -> None:
    digits = len(value.as_tuple().digits)
    if digits > MAX_DIGITS:
        raise GrammarLimit(f"number: a bound or step of {digits} digits, at most {MAX_DIGITS} are read")


def _step(value: Decimal) -> Fraction:
    _check_size(value)
    if value.adjusted() > FARTHEST:  # 0 is the only multiple that has a spelling
        return Fraction(10**FARTHEST)
    if value.adjusted() < -FARTHEST:
        raise GrammarLimit(f"multipleOf {value}: at least 1e-{FARTHEST} is supported")
    return Fraction(value)
