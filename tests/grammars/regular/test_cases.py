from __future__ import annotations

import re

import pytest

from grammars.regular.cases import python_cases
from grammars.regular.charset import CharSet

CASED = [char for char in map(chr, range(0x1FFFF)) if not char.lower() == char == char.upper()]
TEXT = "".join(CASED)


@pytest.mark.parametrize("letter", ["k", "S", "i", "ı", "İ", "é", "µ", "ς", "ß", "ﬅ", "ᾳ", "Ǆ", "ͅ", "ΐ", "1", "語"])
def test_a_letter_has_the_cases_that_re_has(letter):
    same = set(re.findall(re.escape(letter), TEXT, re.IGNORECASE)) | {letter}
    assert {
        chr(code) for low, high in python_cases(CharSet.one(letter)).ranges for code in range(low, high + 1)
    } == same


@pytest.mark.parametrize(("low", "high"), [("a", "z"), ("À", "Ý"), ("α", "ω"), ("a", "ÿ")])
def test_a_range_has_the_cases_that_re_has(low, high):
    same = set(re.findall(f"[{low}-{high}]", TEXT, re.IGNORECASE))
    ours = python_cases(CharSet.of([(ord(low), ord(high))]))
    assert {char for char in CASED if char in ours} == same
