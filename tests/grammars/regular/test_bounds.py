from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grammars.regular.charset import CharSet
from grammars.regular.language import Languages, Leaf
from grammars.regular.patterns import pattern_language


@dataclass(frozen=True)
class Even:
    """An even number of `a`s, and at least two."""

    odd: bool = False
    start: bool = True
    alphabet = CharSet.chars("a")

    @property
    def nullable(self) -> bool:
        return not self.odd and not self.start

    def moves(self) -> tuple[tuple[int, int, Leaf], ...]:
        return ((97, 97, Even(not self.odd, start=False)),)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32), st.integers(1, 4))
def test_no_text_is_shorter_or_has_other_characters(
    random_languages: Callable[[int], Any], seed: int, depth: int
) -> None:
    made = random_languages(seed)
    term, texts = made.any(depth)
    bounds = made.languages.bounds
    least, alphabet = bounds.least(term), bounds.alphabet(term)
    assert least <= min(map(len, texts), default=inf)
    assert all(char in alphabet for text in texts for char in text)
    assert least < inf or made.languages.is_empty(term)


@pytest.mark.parametrize(
    ("patterns", "least"),
    [
        (["a{2,5}b", "[ab]*"], 3),
        (["a{2,5}(b|cd)", "[acd]*"], 4),
        (["[a-z]*x[a-z]*", "[a-w]*"], inf),
        (["(foo|bar|quux)", "[a-pr-z]{2,}"], 3),
        ([".*abcd.*", "[ab]?[c-z]{3,9}"], 4),
        (["(ab)*", "a*b?"], 0),
    ],
)
def test_bounds_by_the_characters_that_all_items_have(patterns: list[str], least: float) -> None:
    languages = Languages()
    items = [pattern_language(languages, pattern) for pattern in patterns]
    assert languages.bounds.least(languages.make_intersection(items)) == least


def test_a_leaf_tells_its_alphabet() -> None:
    languages = Languages()
    even = languages.leaf(Even())
    assert languages.bounds.alphabet(even) == CharSet.chars("a")
    without = languages.make_intersection([even, pattern_language(languages, "[b-z]+")])
    assert languages.bounds.least(without) == inf
    assert languages.is_empty(without)
    assert languages.intersect(even, pattern_language(languages, "a{3,9}")).shortest == 4


def test_counts_without_measure_are_still_bounds() -> None:
    languages = Languages()
    many = languages.repeat(languages.repeat(languages.literal("ab"), 10**400, None), 3, 10**400)
    assert 10**9 <= languages.bounds.least(many) < inf
    assert languages.bounds.least(languages.repeat(languages.concat(many, languages.literal("c")), 0, 1)) == 0
