from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grammars.regular.charset import CharSet

STARTS = st.one_of(st.integers(0, 300), st.integers(0xD7C0, 0xE010), st.integers(0x10FF80, 0x10FFFF))
RANGES = st.lists(
    st.tuples(STARTS, st.integers(0, 100)).map(lambda pair: (pair[0], min(sum(pair), 0x10FFFF))), max_size=5
)


def codes(chars: CharSet) -> set[int]:
    return {code for low, high in chars.ranges for code in range(low, high + 1)}


def spelled(ranges: list[tuple[int, int]]) -> set[int]:
    return {code for low, high in ranges for code in range(low, high + 1) if not 0xD800 <= code <= 0xDFFF}


@given(RANGES)
def test_ranges_are_ascending_apart_and_without_surrogates(ranges: list[tuple[int, int]]) -> None:
    chars = CharSet.of(ranges)
    assert codes(chars) == spelled(ranges)
    assert all(one[1] + 1 < other[0] for one, other in zip(chars.ranges, chars.ranges[1:], strict=False))


@given(RANGES, RANGES)
def test_sets_combine_as_sets_do(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> None:
    first, second = CharSet.of(one), CharSet.of(other)
    assert codes(first & second) == spelled(one) & spelled(other)
    assert codes(first | second) == spelled(one) | spelled(other)
    assert codes(first - second) == spelled(one) - spelled(other)
    assert first.complement().complement() == first


def test_the_complement_reaches_to_the_last_character() -> None:
    assert CharSet.chars("a").complement().ranges == ((0, 96), (98, 0xD7FF), (0xE000, 0x10FFFF))
    assert CharSet.ALL.complement() == CharSet(())


@pytest.mark.parametrize(("chars", "only"), [("a", "a"), ("ab", None), ("ac", None), ("", None)])
def test_a_single_character_is_known(chars: str, only: str | None) -> None:
    assert CharSet.chars(chars).single == only


def test_one_character_is_none_when_it_is_a_surrogate() -> None:
    assert CharSet.one("é") == CharSet.chars("é")
    assert CharSet.one("\ud800") == CharSet(())


def test_the_last_character_is_not_rendered() -> None:
    assert CharSet.of([(0x10FFFE, 0x10FFFF)]).render() == r"\U0010FFFE"
    assert re.fullmatch(CharSet.chars("\U0010ffff").render(), "\U0010ffff") is None
    assert re.fullmatch(CharSet.chars("a]-\\^").render() + "{5}", "a]-\\^")
