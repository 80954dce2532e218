"""The texts of JSON numbers whose value satisfies a formula of bounds and steps.

What is a number's text here, as policy: JSON's syntax (RFC 8259, section 6) with at most 19 digits before the point, 17
after it and 2 in the exponent. Without any constraint every such text is one. Under bounds and steps an exponent stands
only after a mantissa with one digit before the point, which is not 0 (`1.5e1`, not `15e0`); with a step that is no
power of ten there are no exponents, and at most 15 digits before a point. A single value is spelled out, with zeros at
the end as one likes; if it has more digits than this allows, then all of them, with an exponent or as an integer. Zero
has a sign only in a set that reaches below it: elsewhere a writer who begins with `-` would be left with nothing but
`-0`. Within these spellings a text is in the language exactly if its decimal value is in the set: `-0` is 0, and `1.0`,
`1e2` and `1.5e1` are multiples of 1.

One thing is stricter: a validator that makes a float of the text takes 0.99999999999999999 for 1. Texts that would be
rounded onto an open bound are therefore left out. Steps, and single numbers that are left out, are exact; validators
that divide floats refuse some true multiples (4.02 of 0.01), which are accepted here.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from fractions import Fraction
from functools import partial

from grammars.json.number_set import ANY_NUMBER, Formula, NumberPiece, Written, pieces_of, power_of_ten
from grammars.json.number_side import DECIMALS, EXPONENT, INTEGER_DIGITS, UNIT, magnitude, sides_of
from grammars.json.number_states import NumberStart, has_numbers_beyond_zero
from grammars.regular.charset import CharSet
from grammars.regular.language import Language, Languages

__all__ = ["Formula", "number_language"]

FLOAT_DIGITS = 15
"""Digits before the point that every float holds."""
LONGEST_INTEGER = 100
"""Most digits of an integer that is the only value and is written without exponent."""


def number_language(languages: Languages, formula: Formula) -> Language:
    """The texts of the numbers a formula describes; `languages.nothing` when there is none.

    Args:
        languages: the arena that the language is made in.
        formula: see `Formula`.

    Raises:
        GrammarLimit: the formula comes apart into too many intervals, or a number in it is of absurd size.
    """
    pieces = pieces_of(formula)
    kept = languages.kept.get(pieces)
    if kept is None:
        kept = languages.kept[pieces] = _language_of(languages, pieces)
        if len(pieces) == 1 and pieces[0].is_simple:
            languages.titles[kept] = (pieces, partial(_language_of, pieces=pieces))
    return kept


def _language_of(languages: Languages, pieces: tuple[NumberPiece, ...]) -> Language:
    if ANY_NUMBER in pieces:
        return _any_number(languages)
    sides = {piece: sides_of(piece) for piece in pieces if piece.point is None}
    points: defaultdict[Written, set[Fraction]] = defaultdict(set)
    for piece in pieces:
        if (point := piece.point) is not None and _allows(piece, point):
            points[piece.written].add(point)
    signed = any(value < 0 for values in points.values() for value in values) or any(
        side is not None and has_numbers_beyond_zero(side) for _, side in sides.values()
    )
    spelled = [each for written, values in points.items() for each in _spellings(languages, values, written, signed)]
    wide = [
        _without(languages, piece, _exact(languages, piece, NumberStart(positive, negative if signed else None)))
        for piece, (positive, negative) in sides.items()
    ]
    return languages.union(*spelled, *wide) if spelled or wide else languages.nothing


def _exact(languages: Languages, piece: NumberPiece, start: NumberStart) -> Language:
    """The numbers behind a start; under a step only such as a float holds as they are written, or whole ones."""
    language = languages.leaf(start)
    steps = piece.excluded if piece.step is None else {piece.step, *piece.excluded}
    if all(power_of_ten(step) is not None for step in steps):
        return language
    digit = languages.chars(CharSet.DIGITS)
    point = languages.concat(languages.literal("."), languages.repeat(digit, 1, DECIMALS))
    short = languages.concat(languages.repeat(digit, 1, FLOAT_DIGITS), point)
    sign = languages.repeat(languages.literal("-"), 0, 1)
    spelled = languages.union(short, languages.repeat(digit, 1, INTEGER_DIGITS))
    return languages.intersect(language, languages.concat(sign, spelled))


def _without(languages: Languages, piece: NumberPiece, language: Language) -> Language:
    """The texts of a piece's bounds and steps, less those that it does not allow otherwise."""
    unwanted = []
    if piece.written is Written.PARTED:
        unwanted.append(_whole_number(languages))
    holes = [hole for hole in piece.holes if _allows(piece, hole)]
    if holes:
        unwanted += _spellings(languages, holes, Written.ANYHOW, signed=True)
        unwanted += _scientific_spellings(languages, holes)
    return languages.intersect(language, languages.complement(languages.union(*unwanted))) if unwanted else language


def _allows(piece: NumberPiece, value: Fraction) -> bool:
    """Whether the steps of a piece allow a value."""
    return (piece.step is None or value % piece.step == 0) and all(value % other != 0 for other in piece.excluded)


def _any_number(languages: Languages) -> Language:
    digit, dot = languages.chars(CharSet.DIGITS), languages.literal(".")
    sign = languages.chars(CharSet.chars("+-"))
    exponent = (languages.chars(CharSet.chars("eE")), _optional(languages, sign), languages.repeat(digit, 1, 2))
    return languages.concat(
        _whole_number(languages),
        _optional(languages, dot, languages.repeat(digit, 1, DECIMALS)),
        _optional(languages, *exponent),
    )


def _whole_number(languages: Languages) -> Language:
    first, digit = languages.chars(CharSet.of([(0x31, 0x39)])), languages.chars(CharSet.DIGITS)
    return languages.concat(
        _optional(languages, languages.literal("-")),
        languages.union(
            languages.literal("0"), languages.concat(first, languages.repeat(digit, 0, INTEGER_DIGITS - 1))
        ),
    )


def _optional(languages: Languages, *parts: Language) -> Language:
    return languages.repeat(languages.concat(*parts), 0, 1)


def _spellings(languages: Languages, values: Iterable[Fraction], written: Written, signed: bool) -> list[Language]:
    """Languages that together spell some values: as few as there are numbers of decimals among them.

    Args:
        written: how; with `WHOLE` the values have to be integers.
        signed: whether `-0` is a spelling of 0.
    """
    plain: defaultdict[int, list[str]] = defaultdict(list)
    others: list[Language] = []
    for value in values:
        units = abs(value) * UNIT
        if units.denominator == 1 and units < UNIT * 10**INTEGER_DIGITS:
            whole, decimals = divmod(units.numerator, UNIT)
            text = f"{whole}.{decimals:0{DECIMALS}}".rstrip("0").rstrip(".")
            texts = ["-" + text] if value < 0 else [text] if value or not signed else ["0", "-0"]
            plain[len(text.partition(".")[2])] += texts
        else:
            others += _long(languages, value, written)
    return [
        languages.concat(languages.literals(texts), _zeros(languages, used, written)) for used, texts in plain.items()
    ] + others


def _zeros(languages: Languages, used: int, written: Written) -> Language:
    """What may follow a value that has `used` decimals already."""
    zero = languages.literal("0")
    if used:
        return languages.repeat(zero, 0, DECIMALS - used)
    zeros = languages.concat(languages.literal("."), languages.repeat(zero, 1, DECIMALS))
    if written is Written.ANYHOW:
        return _optional(languages, zeros)
    return zeros if written is Written.PARTED else languages.epsilon


def _long(languages: Languages, value: Fraction, written: Written) -> list[Language]:
    """The spellings of a value that has more digits than others may have: with an exponent, or as an integer."""
    mantissa, exponent = _scientific(value)
    ways = []
    if Written.PARTED in written:
        ways.append(languages.concat(languages.literal(mantissa), _exponent(languages, exponent)))
    if Written.WHOLE in written and value.denominator == 1 and exponent < LONGEST_INTEGER:
        ways.append(languages.literal(str(value)))
    return ways


def _scientific_spellings(languages: Languages, values: Iterable[Fraction]) -> list[Language]:
    """All spellings of some values with one digit before the point and an exponent, as far as they may have one."""
    mantissas: defaultdict[tuple[int, int], list[str]] = defaultdict(list)
    for value in values:
        if value:
            mantissa, exponent = _scientific(value)
            decimals = len(mantissa.partition(".")[2])
            if decimals <= DECIMALS and abs(exponent) <= EXPONENT:
                mantissas[decimals, exponent].append(mantissa)
    return [
        languages.concat(
            languages.literals(texts), _zeros(languages, decimals, Written.ANYHOW), _exponent(languages, exponent)
        )
        for (decimals, exponent), texts in mantissas.items()
    ]


def _scientific(value: Fraction) -> tuple[str, int]:
    """The mantissa, with its sign, and the exponent of a value that is not 0."""
    exponent = magnitude(abs(value))
    power = max(0, math.ceil(math.log2(value.denominator)))
    digits = str(abs(value) * 10**power).rstrip("0")
    return f"{'-' if value < 0 else ''}{digits[0]}.{digits[1:]}".rstrip("."), exponent


def _exponent(languages: Languages, exponent: int) -> Language:
    return languages.concat(languages.chars(CharSet.chars("eE")), languages.literals(_exponent_texts(exponent)))


def _exponent_texts(exponent: int) -> list[str]:
    signs = ("-",) if exponent < 0 else ("", "+", "-") if exponent == 0 else ("", "+")
    return [sign + digits for sign in signs for digits in {str(abs(exponent)), f"{abs(exponent):02}"}]
