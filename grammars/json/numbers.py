"""The texts of JSON numbers whose value satisfies a formula of bounds and steps.

What is a number's text here, as policy: JSON's syntax (RFC 8259, section 6) with at most 19 digits before the point,
17 after it and 2 in the exponent. Without any constraint every such text is one. Under bounds and steps an exponent
stands only after a mantissa with one digit before the point, which is not 0 (`1.5e1`, not `15e0`); with a step that
is no power of ten there are no exponents. A single value is spelled out, with zeros at the end as one likes; if it
has more digits than this allows, then all of them, with an exponent or as an integer. Within these spellings a text
is in the language exactly if its decimal value is in the set: `-0` is 0, and `1.0`, `1e2` and `1.5e1` are multiples
of 1.

One thing is stricter: a validator that makes a float of the text takes 0.99999999999999999 for 1. Texts that would be
rounded onto an open bound are therefore left out. Steps are exact; validators that divide floats refuse some true
multiples (4.02 of 0.01), which are accepted here.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from fractions import Fraction

from grammars.json.number_set import ANY_NUMBER, Formula, NumberPiece, pieces_of
from grammars.json.number_side import DECIMALS, INTEGER_DIGITS, UNIT, magnitude, sides_of
from grammars.json.number_states import NumberStart
from grammars.regular.charset import CharSet
from grammars.regular.language import Language, Languages

__all__ = ["Formula", "number_language"]

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
    if ANY_NUMBER in pieces:
        return _any_number(languages)
    points = {point for piece in pieces if (point := piece.point) is not None and _allows(piece, point)}
    spelled = [languages.union(*_spellings(languages, points))] if points else []
    wide = [languages.leaf(NumberStart(*sides_of(piece))) for piece in pieces if piece.point is None]
    return languages.union(*spelled, *wide) if spelled or wide else languages.nothing


def _allows(piece: NumberPiece, value: Fraction) -> bool:
    """Whether the steps of a piece allow a value."""
    return (piece.step is None or value % piece.step == 0) and all(value % other != 0 for other in piece.excluded)


def _any_number(languages: Languages) -> Language:
    digit, dot = languages.chars(CharSet.DIGITS), languages.literal(".")
    whole = languages.concat(
        languages.chars(CharSet.of([(0x31, 0x39)])), languages.repeat(digit, 0, INTEGER_DIGITS - 1)
    )
    sign = languages.chars(CharSet.chars("+-"))
    exponent = (languages.chars(CharSet.chars("eE")), _optional(languages, sign), languages.repeat(digit, 1, 2))
    return languages.concat(
        _optional(languages, languages.literal("-")),
        languages.union(languages.literal("0"), whole),
        _optional(languages, dot, languages.repeat(digit, 1, DECIMALS)),
        _optional(languages, *exponent),
    )


def _optional(languages: Languages, *parts: Language) -> Language:
    return languages.repeat(languages.concat(*parts), 0, 1)


def _spellings(languages: Languages, values: Iterable[Fraction]) -> list[Language]:
    """Languages that together spell some values: as few as there are numbers of decimals among them."""
    plain: defaultdict[int, list[str]] = defaultdict(list)
    others: list[Language] = []
    for value in values:
        units = abs(value) * UNIT
        if units.denominator == 1 and units < UNIT * 10**INTEGER_DIGITS:
            whole, decimals = divmod(units.numerator, UNIT)
            text = f"{whole}.{decimals:0{DECIMALS}}".rstrip("0").rstrip(".")
            signed = ["-" + text] if value < 0 else [text] if value else ["0", "-0"]
            plain[len(text.partition(".")[2])] += signed
        else:
            others.append(_long(languages, value))
    return [
        languages.concat(languages.literals(texts), _zeros(languages, used)) for used, texts in plain.items()
    ] + others


def _zeros(languages: Languages, used: int) -> Language:
    """What may follow a value that has `used` decimals already."""
    zero = languages.literal("0")
    if used:
        return languages.repeat(zero, 0, DECIMALS - used)
    return _optional(languages, languages.literal("."), languages.repeat(zero, 1, DECIMALS))


def _long(languages: Languages, value: Fraction) -> Language:
    """The spellings of a value that has more digits than others may have: with an exponent, or as an integer."""
    exponent = magnitude(abs(value))
    sign = "-" if value < 0 else ""
    power = max(0, math.ceil(math.log2(value.denominator)))
    digits = str(abs(value) * 10**power).rstrip("0")
    mantissa = f"{sign}{digits[0]}.{digits[1:]}".rstrip(".")
    spelled = languages.concat(
        languages.literal(mantissa), languages.chars(CharSet.chars("eE")), languages.literals(_exponent_texts(exponent))
    )
    if value.denominator > 1 or exponent >= LONGEST_INTEGER:
        return spelled
    return languages.union(spelled, languages.literal(str(value)))


def _exponent_texts(exponent: int) -> list[str]:
    signs = ("-",) if exponent < 0 else ("", "+")
    return [sign + digits for sign in signs for digits in {str(abs(exponent)), f"{abs(exponent):02}"}]
