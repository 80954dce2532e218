from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grammars.regular.language import Languages
from grammars.regular.patterns import pattern_language


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32), st.integers(1, 3), st.integers(0, 4))
def test_who_reads_no_further_sees_no_difference(
    random_languages: Callable[[int], Any], seed: int, depth: int, limit: int
) -> None:
    made = random_languages(seed)
    languages: Languages = made.languages
    term = made.any(depth)[0]
    clipped = languages.clipped(term, limit)
    for length in range(limit + 1):
        for chars in itertools.product("ab", repeat=length):
            one, other = term, clipped
            for char in chars:
                one, other = one.after(ord(char)), other.after(ord(char))
            assert one.nullable == other.nullable
            assert languages.is_empty(one) == languages.is_empty(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (".{900,1990}", ".{901,1991}"),
        ("(ab?){70,}c", "(ab?){700,}c"),
        ("a{0,99}b", "a{0,500}b"),
        ("(a{3,5000}b){0,2000}", "(a{3,5001}b){0,2001}"),
        ("x(a|b{65,70}|c)", "x(a|b{66,71}|c)"),
    ],
)
def test_counts_beyond_the_limit_are_the_same(one: str, other: str) -> None:
    languages = Languages()
    first, second = pattern_language(languages, one), pattern_language(languages, other)
    assert first is not second
    assert languages.clipped(first, 64) is languages.clipped(second, 64)
    assert languages.clipped(first, 10_000) is first


def test_counts_in_intersections_stay() -> None:
    languages = Languages()
    pairs = languages.repeat(languages.literal("ab"), 0, 50)
    long = languages.repeat(languages.ranges([(97, 99)]), 99, 101)
    both = languages.intersect(pairs, long)
    assert not languages.is_empty(both)
    assert languages.clipped(both, 10) is both
