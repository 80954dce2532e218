"""Character classes in which ECMA 262 and Python's `re` agree, and those that either of them knows.

Both read JSON Schema's `pattern`, and differ: Python's classes are Unicode's (`\\d` has 2,300 decimal digits and more
in it), ECMA's are not, and each counts as white space what the other does not.
"""

from __future__ import annotations

import re
from array import array
from functools import cache

from grammars.regular.charset import CharSet
from grammars.regular.syntax import Alternation, Characters, Concatenation, Look, Node, Place, Position

__all__ = ["any_case", "class_chars", "line_chars", "unicode_class", "word_edge"]

COMMON_SPACES = CharSet.chars("\t\n\v\f\r \xa0\u1680\u2028\u2029\u202f\u205f\u3000") | CharSet.of([(0x2000, 0x200A)])
ALL_SPACES = COMMON_SPACES | CharSet.chars("\ufeff\x1c\x1d\x1e\x1f\x85")
"""With the one that is white space in ECMA 262 alone, and those that are in Python alone."""
IN_BOTH_LINES = CharSet.chars("\n\r\u2028\u2029").complement()
IN_ONE_LINE = CharSet.chars("\n").complement()
FOLDED = {"i": "\u0130\u0131", "k": "\u212a", "s": "\u017f"}
"""What Python takes for another case of an ASCII letter beside the two ASCII ones."""
MEANT = 0x40000
"""Behind it Unicode has neither words nor digits nor letters with a case."""


def class_chars(letter: str, either: bool) -> CharSet:
    """The characters of `\\d`, `\\D`, `\\w`, `\\W`, `\\s` or `\\S`.

    Args:
        letter: which of them.
        either: whether those are wanted that one dialect counts in, instead of those that both do.
    """
    if letter.isupper():
        return _others(letter.lower(), not either)
    if letter == "s":
        return ALL_SPACES if either else COMMON_SPACES
    if either:
        return unicode_class(letter)
    return CharSet.DIGITS if letter == "d" else CharSet.WORD


@cache
def _others(letter: str, either: bool) -> CharSet:
    return class_chars(letter, either).complement()


@cache
def unicode_class(letter: str) -> CharSet:
    """What `\\d`, `\\w` or `\\s` is to Python's `re` in a pattern of text without `re.ASCII`."""
    text = array("I", range(MEANT)).tobytes().decode("utf-32", "surrogatepass")
    return CharSet.of((run.start(), run.end() - 1) for run in re.finditer(rf"\{letter}+", text))


def line_chars(either: bool) -> CharSet:
    """The characters of `.`; `either` as in `class_chars`."""
    return IN_ONE_LINE if either else IN_BOTH_LINES


def any_case(chars: CharSet, either: bool) -> CharSet:
    """The characters with their other cases, as `(?i)` has them.

    Args:
        chars: the characters.
        either: whether none may be missing, in which case all letters with a case beyond ASCII stand for each other;
            otherwise only those of ASCII letters are added.
    """
    out = chars.both_cases()
    if not either:
        return out
    beyond = _beyond_ascii()
    if chars & beyond:
        out = (out | beyond | CharSet.chars("iks")).both_cases()
    return out | CharSet.chars("".join(others for letter, others in FOLDED.items() if letter in out))


@cache
def _beyond_ascii() -> CharSet:
    """The characters beyond ASCII that have another case."""
    return CharSet.of(
        (code, code) for code in range(0x80, MEANT) if not chr(code).lower() == chr(code) == chr(code).upper()
    )


@cache
def word_edge(inside: bool, either: bool) -> Node:
    """`\\b`, or `\\B` if `inside`, as looking behind and ahead; `either` as in `class_chars`."""
    narrow, wide = CharSet.WORD, class_chars("w", either=True)
    ways: list[tuple[bool, CharSet, bool, CharSet]]
    if either:
        ways = [(here, word, here == inside, word) for word in (narrow, wide) for here in (True, False)]
    elif inside:
        only = wide - narrow
        ways = [(True, narrow, True, narrow), (True, only, True, only), (False, wide, False, wide)]
    else:
        ways = [(True, narrow, False, wide), (False, wide, True, narrow)]
    return Alternation(
        tuple(Concatenation((_beside(*way[:2], behind=True), _beside(*way[2:], behind=False))) for way in ways)
    )


def _beside(is_in: bool, word: CharSet, *, behind: bool) -> Node:
    """Where the character beside is in a set; or is not, or there is none."""
    if is_in:
        return Look(Characters(word), behind, negated=False)
    end = Position(Place.START if behind else Place.END)
    return Look(Alternation((Characters(word.complement()), end)), behind, negated=False)
