from __future__ import annotations

import unicodedata
from bisect import bisect_right

import pytest

from grammars import UnsupportedConstraint
from grammars.regular.unicode_property import property_chars

SAMPLE = [*range(0, 0xD800, 17), *range(0xE000, 0x11000, 5), *range(0x11000, 0x110000, 397), 0x40000, 0xE0001]
SAMPLE += [0xEFFFF, 0xF0000, 0xFFFFD, 0xFFFFE, 0xFFFFF, 0x100000, 0x10FFFD, 0x10FFFE, 0x10FFFF]


def inside(name: str) -> list[int]:
    ranges = property_chars(name, "").ranges
    starts = [low for low, _ in ranges]
    return [code for code in SAMPLE if (index := bisect_right(starts, code)) and code <= ranges[index - 1][1]]


@pytest.mark.parametrize(
    ("name", "categories"),
    [
        ("L", ("Lu", "Ll", "Lt", "Lm", "Lo")),
        ("Letter", ("Lu", "Ll", "Lt", "Lm", "Lo")),
        ("Lu", ("Lu",)),
        ("gc=Uppercase_Letter", ("Lu",)),
        ("General_Category=Nd", ("Nd",)),
        ("digit", ("Nd",)),
        ("LC", ("Lu", "Ll", "Lt")),
        ("punct", ("Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po")),
        ("C", ("Cc", "Cf", "Co", "Cn")),
        ("Cn", ("Cn",)),
        ("Co", ("Co",)),
    ],
)
def test_categories_are_those_of_the_characters(name: str, categories: tuple[str, ...]) -> None:
    assert inside(name) == [code for code in SAMPLE if unicodedata.category(chr(code)) in categories]


def test_what_every_version_has() -> None:
    assert inside("Any") == SAMPLE
    assert inside("ASCII") == [code for code in SAMPLE if code < 128]
    assert inside("Assigned") == [code for code in SAMPLE if unicodedata.category(chr(code)) != "Cn"]


@pytest.mark.parametrize(
    ("name", "some", "others"),
    [
        ("Script=Greek", "αΩ", "aд"),
        ("sc=Han", "漢字", "かa"),
        ("Alphabetic", "aéⓐ", "1-"),
        ("White_Space", " \x85", "\x1c"),
    ],
)
def test_scripts_and_other_properties_are_looked_up(name: str, some: str, others: str) -> None:
    chars = property_chars(name, "")
    assert all(char in chars for char in some)
    assert not any(char in chars for char in others)


@pytest.mark.parametrize("name", ["Nope", "gc=Greek", "Script=Nope", "", "L=Lu", "lu}", "^L"])
def test_unknown_properties_are_refused(name: str) -> None:
    with pytest.raises(UnsupportedConstraint, match="at 'x'"):
        property_chars(name, "'x'")
