from __future__ import annotations

import pytest

from grammars.regular.language import Language, Languages
from grammars.regular.patterns import pattern_language


def read(languages: Languages, pattern: str) -> Language:
    return pattern_language(languages, pattern, dialect="ecma")


@pytest.mark.parametrize(
    ("written", "simple"),
    [
        ("a|b|[c-e]", "[a-e]"),
        ("x(?:a|b|c)", "x[a-c]"),
        ("a{1,2}x|a{3,5}x", "a{1,5}x"),
        ("[^]*[ab]|b[^]*[ab]|c[ab]", "[^]*[ab]"),
        ("x|a{1,3}x", "a{0,3}x"),
        ("(?:)|a{1,3}", "a{0,3}"),
        ("a*b*|b*", "a*b*"),
        ("a|(?:)|b*", "a|b*"),
        ("a{2}a{3,4}", "a{5,6}"),
        ("aaa?", "aaa?"),
        ("a?[^]*", "[^]*"),
        ("a{2,9}[^]*", "a{2}[^]*"),
        ("[^]*a?b", "[^]*b"),
        ("[^]*[^]*", "[^]*"),
        ("(?:a{2,3}){4}", "a{8,12}"),
        ("(?:a{0,200}){0,200}", "a{0,40000}"),
        ("(?:a?)*", "a*"),
        ("(?:a*){3}", "a*"),
        ("(?:a{2,}){0,3}", "(?:a{2,}){0,3}"),
        ("(?:(?:)|a|bc)*", "(?:a|bc)*"),
        ("a[]|b", "b"),
    ],
)
def test_what_is_the_same_is_written_the_same(written: str, simple: str) -> None:
    languages = Languages()
    assert read(languages, written) is read(languages, simple)


@pytest.mark.parametrize(("repeated", "gapless"), [("(?:a{2}){1,2}", False), ("(?:a{1,2}){0,9}", True)])
def test_counts_are_multiplied_only_where_no_length_is_lost(repeated: str, gapless: bool) -> None:
    languages = Languages()
    language = read(languages, repeated)
    assert languages.accepts(language, "aaa") is gapless
    assert languages.accepts(language, "aaaa")


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("[a-f]{2,9}", "[d-z]{0,5}", "[d-f]{2,5}"),
        ("[a-c]+", "[x-z]+", "[]"),
        ("[a-c]*", "[x-z]*", ""),
        ("a{1,3}", "a{5,}", "[]"),
        ("ab|abc|x", "a[^]*", "ab|abc"),
        ("(?:ab){2,3}", "[^]{1,6}", "(?:ab){2,3}"),
        ("(?:ab){2,3}", "[^]{7,}", "[]"),
        ("a*b", "[^]*", "a*b"),
        ("a*b", "", "[]"),
    ],
)
def test_intersections_that_need_no_search(one: str, other: str, both: str) -> None:
    languages = Languages()
    assert languages.intersect(read(languages, one), read(languages, other)) is read(languages, both)
    assert languages.num_states <= 6  # the few texts were tried, nothing else explored


def test_complements_of_counts_need_no_complement() -> None:
    languages = Languages()
    outside = languages.complement(read(languages, "[ab]{2,3}"))
    assert outside.solid
    assert outside is read(languages, "[ab]?|[ab]{4,}|[ab]*[^ab][^]*")
    assert languages.complement(languages.epsilon) is read(languages, "[^]+")


def test_contradictions_are_seen() -> None:
    languages = Languages()
    one, other = read(languages, "(ab)*c"), read(languages, "a*(bc)*")
    not_one, not_other = languages.complement(one), languages.complement(other)
    assert languages.intersect(one, not_one) is languages.nothing
    assert languages.union(one, not_one) is languages.everything
    assert languages.intersect(not_one, not_other) is languages.complement(languages.union(one, other))
    assert languages.union(not_one, not_other) is languages.complement(languages.intersect(one, other))
    assert languages.intersect(one, languages.complement(languages.union(one, other))) is languages.nothing
