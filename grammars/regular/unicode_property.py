"""Sets of characters by Unicode property, as `\\p{…}` names them."""

from __future__ import annotations

import importlib
import importlib.util
import re
import unicodedata
from collections.abc import Iterable
from functools import cache, lru_cache
from itertools import groupby

from grammars.errors import UnsupportedConstraint
from grammars.regular.charset import LAST, CharSet

__all__ = ["property_chars"]

LONG_NAMES = {
    "L": "Letter",
    "LC": "Cased_Letter",
    "Lu": "Uppercase_Letter",
    "Ll": "Lowercase_Letter",
    "Lt": "Titlecase_Letter",
    "Lm": "Modifier_Letter",
    "Lo": "Other_Letter",
    "M": "Mark Combining_Mark",
    "Mn": "Nonspacing_Mark",
    "Mc": "Spacing_Mark",
    "Me": "Enclosing_Mark",
    "N": "Number",
    "Nd": "Decimal_Number digit",
    "Nl": "Letter_Number",
    "No": "Other_Number",
    "P": "Punctuation punct",
    "Pc": "Connector_Punctuation",
    "Pd": "Dash_Punctuation",
    "Ps": "Open_Punctuation",
    "Pe": "Close_Punctuation",
    "Pi": "Initial_Punctuation",
    "Pf": "Final_Punctuation",
    "Po": "Other_Punctuation",
    "S": "Symbol",
    "Sm": "Math_Symbol",
    "Sc": "Currency_Symbol",
    "Sk": "Modifier_Symbol",
    "So": "Other_Symbol",
    "Z": "Separator",
    "Zs": "Space_Separator",
    "Zl": "Line_Separator",
    "Zp": "Paragraph_Separator",
    "C": "Other",
    "Cc": "Control cntrl",
    "Cf": "Format",
    "Cs": "Surrogate",
    "Co": "Private_Use",
    "Cn": "Unassigned",
}
"""The general categories, and the other names ECMA 262 has for each (UAX 44, table 12)."""
SHORT_NAMES = {name: short for short, names in LONG_NAMES.items() for name in (short, *names.split())}
CASED = ("Lu", "Ll", "Lt")
FIXED = {"Any": CharSet.ALL, "ASCII": CharSet.of([(0, 0x7F)])}
READ = ((0, 0x3FFFF), (0xE0000, 0xEFFFF))
"""Planes whose characters are looked up one by one. Unicode assigns none in planes 4 to 13; 15 and 16 are private."""
SPELLING = re.compile(r"(?:(General_Category|gc|Script_Extensions|scx|Script|sc)=)?([A-Za-z0-9_]+)")


def property_chars(name: str, pattern: str) -> CharSet:
    """The characters that `\\p{name}` stands for, by the Unicode version of the installed packages.

    Args:
        name: what stands in the braces.
        pattern: the pattern it stands in, for messages.

    Raises:
        UnsupportedConstraint: there is no such property, or finding it out takes the `regex` package, which is not
            installed (for scripts and other properties that are no general category).
    """
    spelled = SPELLING.fullmatch(name)
    chars = None
    if spelled:
        kind, value = spelled[1], spelled[2]
        if kind in (None, "General_Category", "gc") and value in SHORT_NAMES:
            chars = _category(SHORT_NAMES[value])
        elif kind is None and value in FIXED:
            chars = FIXED[value]
        elif kind is None and value == "Assigned":
            chars = _category("Cn").complement()
        elif kind not in ("General_Category", "gc"):
            chars = _looked_up(name)
    if chars is None:
        raise UnsupportedConstraint(f"\\p{{{name}}}", pattern, "no such Unicode property is known here")
    return chars


@cache
def _categories() -> dict[str, list[tuple[int, int]]]:
    """The ranges of every two-letter category; reading them takes some hundredths of a second."""
    ranges = {
        "Cn": [(0x40000, 0xDFFFF), (0xFFFFE, 0xFFFFF), (0x10FFFE, 0x10FFFF)],
        "Co": [(0xF0000, 0xFFFFD), (0x100000, 0x10FFFD)],
    }
    for first, last in READ:
        start = first
        for category, run in groupby(map(unicodedata.category, map(chr, range(first, last + 1)))):
            end = start + sum(1 for _ in run)
            ranges.setdefault(category, []).append((start, end - 1))
            start = end
    return ranges


@cache
def _category(short: str) -> CharSet:
    if short == "LC":
        return _gathered(CASED)
    return _gathered(name for name in _categories() if name.startswith(short))


def _gathered(names: Iterable[str]) -> CharSet:
    return CharSet.of(pair for name in names for pair in _categories()[name])


@lru_cache(maxsize=64)
def _looked_up(name: str) -> CharSet | None:
    """A property that Python's own tables lack, found out with the `regex` package where it is installed."""
    if importlib.util.find_spec("regex") is None:
        return None
    regex = importlib.import_module("regex")
    try:
        runs = regex.compile(rf"\p{{{name}}}+", regex.V1)
    except regex.error:
        return None
    return CharSet.of((match.start(), match.end() - 1) for match in runs.finditer("".join(map(chr, range(LAST + 1)))))
