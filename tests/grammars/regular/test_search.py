from __future__ import annotations

import random
import time

import pytest

from grammars import GrammarLimit
from grammars.regular.formats import format_language
from grammars.regular.language import Language, Languages
from grammars.regular.patterns import pattern_language


def language(languages: Languages, *patterns: str, but: tuple[str, ...] = ()) -> Language:
    """What all patterns match as a whole and none of `but` does."""
    return languages.intersect(
        *(pattern_language(languages, pattern) for pattern in patterns),
        *(languages.complement(pattern_language(languages, pattern)) for pattern in but),
        languages.everything,
    )


@pytest.mark.parametrize(
    ("patterns", "but", "empty"),
    [
        (("[a-z]+",), ("[a-z0-9]+",), True),
        (("[a-z0-9]+",), ("[a-z]+",), False),
        (("(ab)*", "(aba|b)*"), (), False),
        (("(ab)+", "(ba)+"), (), True),
        (("(aa)*", "(aaa)*"), ("(a{6})*",), True),
        (("(aa)*", "(aaa)*"), ("(a{12})*",), False),
        (("a{5}|a{7}", "(aa)*"), (), True),
        (("(?:foo|bar).*", ".*(?:baz|qux)"), (".*[^a-z].*",), False),
        (("[ab]*a[ab]{9}", "[ab]*b[ab]{9}"), (), True),
        (("(a|b)*c|(a|c)*b", "[^bc]*"), (), True),
    ],
)
def test_emptiness_is_known_exactly(patterns: tuple[str, ...], but: tuple[str, ...], empty: bool) -> None:
    languages = Languages()
    assert languages.is_empty(language(languages, *patterns, but=but)) is empty


def test_an_empty_part_makes_a_concatenation_empty() -> None:
    languages = Languages()
    dead = language(languages, "(ab)+", "(ba)+")
    for whole in (
        languages.concat(languages.literal("x"), dead),
        languages.concat(dead, languages.everything),
        languages.repeat(dead, 2, 3),
        languages.union(languages.concat(dead, languages.literal("y")), dead),
    ):
        assert languages.is_empty(whole)
    assert languages.concat(languages.literal("x"), dead).moves() == ()
    assert languages.repeat(dead, 0, 3).moves() == ()
    assert languages.repeat(dead, 0, 3).longest == 0


def test_dead_ends_are_remembered() -> None:
    languages = Languages()
    dead = language(languages, "x[ab]*a[ab]{6}", "x[ab]*b[ab]{6}")
    assert languages.is_empty(dead)
    looked_at = languages.num_states
    assert languages.is_empty(dead.after(ord("x")))
    assert languages.num_states == looked_at


def test_a_search_without_end_is_given_up() -> None:
    languages = Languages(max_states=500)
    hard = language(languages, "(?:a|b)*a(?:a|b){20}", but=("(?:(?:a|b)*a)+(?:a|b){20}",))
    started = time.perf_counter()
    with pytest.raises(GrammarLimit, match="more than 500 states"):
        languages.is_empty(hard)
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize(
    ("name", "pattern", "shortest"),
    [
        ("date-time", r"\d\d\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", 20),
        ("date-time", r"^\d{4}-02-29T23:59:60\.5", None),
        ("date-time", r"^\d{4}-06-30T23:59:60\.5", 22),
        ("date-time", "x", None),
        ("email", r"@example\.com$", 13),
        ("hostname", r"\.example\.com", 13),
        ("hostname", r"^.{200}", 200),
        ("uri", r"\.(png|jpe?g)$", 6),
        ("uri", "^[^:]*$", None),
    ],
)
def test_what_a_format_and_a_pattern_share_is_found_among_few(name: str, pattern: str, shortest: int | None) -> None:
    languages = Languages(max_states=1_000)
    made = format_language(languages, name)
    assert made is not None
    both = languages.intersect(made, pattern_language(languages, pattern, dialect="ecma", search=True))
    assert languages.is_empty(both) is (shortest is None)
    if shortest is not None:
        assert both.shortest == shortest
        chooser = random.Random(2)
        for _ in range(100):
            moves = both.moves()
            if not moves:
                break
            both = chooser.choice(moves)[2]


@pytest.mark.parametrize(
    ("patterns", "but", "lengths"),
    [
        (("(aa)*", "(aaa)*"), ("(a{12})*",), (6, None)),
        (("a{5}|a{8}|b{9}", "(aa|bbb)*"), (), (8, 9)),
        (("[a-z]{3,900}",), ("abc",), (3, 900)),
        ((".*",), ("", "a", "b"), (1, None)),
    ],
)
def test_lengths_are_found_without_structure(
    patterns: tuple[str, ...], but: tuple[str, ...], lengths: tuple[int, int | None]
) -> None:
    languages = Languages()
    some = language(languages, *patterns, but=but)
    assert (some.shortest, some.longest) == lengths
