"""Regular expressions: the part of ECMA 262's syntax that other dialects read alike."""

from __future__ import annotations

from string import ascii_lowercase, ascii_uppercase, digits

from grammars.regular.charset import CharSet
from grammars.regular.format_parts import DIGIT, HEX, LETTER_OR_DIGIT, Parts, charset
from grammars.regular.language import Language, Languages

__all__ = ["regex"]

MAX_DEPTH = 3
"""How deep groups may be nested."""
SYNTAX = CharSet.chars("\\^$.|?*+()[]{}/")
ESCAPED = CharSet.chars("dDwWsStnrfv") | SYNTAX
SET_OTHERS = (CharSet.chars("\\[]^&~|-") | LETTER_OR_DIGIT).complement()
"""What stands for itself in a set, other than letters and digits, in every dialect."""
RANGES = tuple((low, charset(f"{low}-{row[-1]}")) for row in (ascii_lowercase, ascii_uppercase, digits) for low in row)


def regex(languages: Languages) -> Language:
    """Alternatives of characters, escapes, sets and groups, quantified or not, and of lookaheads and anchors.

    Sets hold characters, escapes, and ranges between two letters of one case or two digits.
    """
    parts = Parts(languages)
    plain, quantified, anchor = _plain(parts), parts.maybe(_quantifier(parts)), _anchor(parts)
    body = _alternatives(parts, plain, quantified, anchor)
    for _ in range(MAX_DEPTH):
        group = parts.seq("(", parts.maybe("?:"), body, ")")
        ahead = parts.seq("(?", charset("=!"), body, ")")
        body = _alternatives(parts, parts.either(plain, group), quantified, parts.either(anchor, ahead))
    return body


def _alternatives(parts: Parts, atom: Language, quantified: Language, assertion: Language) -> Language:
    terms = parts.times(parts.either(parts.seq(atom, quantified), assertion), 0)
    return parts.seq(terms, parts.times(parts.seq("|", terms), 0))


def _quantifier(parts: Parts) -> Language:
    one_or_more = parts.seq("{", parts.times(DIGIT, 1, 3), parts.maybe(","), "}")
    between = parts.seq("{", DIGIT, ",", charset("1-9"), DIGIT, "}")
    return parts.seq(parts.either(charset("?*+"), one_or_more, between), parts.maybe("?"))


def _anchor(parts: Parts) -> Language:
    return parts.either(charset("^$"), parts.seq("\\", charset("bB")))


def _plain(parts: Parts) -> Language:
    """A character, an escape or a set."""
    code = parts.seq("x", HEX, HEX)
    escape = parts.seq("\\", parts.either(ESCAPED, code, parts.seq("u", parts.times(HEX, 4, 4))))
    escape_in_set = parts.seq("\\", parts.either(ESCAPED | CharSet.chars("-"), code))
    ranges = (parts.seq(low, "-", highs) for low, highs in RANGES)
    members = parts.times(parts.either(SET_OTHERS, LETTER_OR_DIGIT, escape_in_set, *ranges), 1)
    return parts.either(SYNTAX.complement(), ".", escape, parts.seq("[", parts.maybe("^"), members, "]"))
