from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grammars.regular.format_host import HostName
from grammars.regular.language import Languages, Leaf
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


@dataclass(frozen=True)
class AtMost:
    """At most so many `a`s."""

    count: int

    @property
    def nullable(self) -> bool:
        return True

    def moves(self) -> tuple[tuple[int, int, Leaf], ...]:
        return ((97, 97, AtMost(self.count - 1)),) if self.count else ()

    def clipped(self, limit: int) -> AtMost:
        return AtMost(min(self.count, limit))


def test_a_leaf_clips_its_own_counts() -> None:
    languages = Languages()
    first, second, few = (
        languages.concat(languages.leaf(AtMost(count)), languages.literal("b")) for count in (70, 90, 30)
    )
    assert languages.clipped(first, 40) is languages.clipped(second, 40)
    assert languages.clipped(first, 40) is not first
    assert languages.clipped(few, 40) is few


@pytest.mark.parametrize("start", [HostName(253), HostName(100, tagged=True)])
def test_host_names_are_the_same_for_who_reads_only_their_beginnings(start: HostName) -> None:
    languages, chooser = Languages(), random.Random(3)
    for limit in (1, 2, 5, 20):
        for _ in range(20):
            here, clipped = languages.leaf(start), languages.clipped(languages.leaf(start), limit)
            assert clipped is languages.clipped(languages.leaf(replace(start, left=start.left - 1)), limit)
            for _ in range(limit):
                assert [move[:2] for move in here.moves()] == [move[:2] for move in clipped.moves()]
                choice = chooser.randrange(len(here.moves()))
                here, clipped = here.moves()[choice][2], clipped.moves()[choice][2]
                assert here.nullable == clipped.nullable


def test_counts_in_intersections_stay() -> None:
    languages = Languages()
    pairs = languages.repeat(languages.literal("ab"), 0, 50)
    long = languages.repeat(languages.ranges([(97, 99)]), 99, 101)
    both = languages.intersect(pairs, long)
    assert not languages.is_empty(both)
    assert languages.clipped(both, 10) is both
