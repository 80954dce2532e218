from __future__ import annotations

import pytest

from grammars.regular.formats import format_language
from grammars.regular.language import Languages
from grammars.regular.patterns import pattern_language

PATTERNS = ["a", "b", "ab", "a|b", "a*", "a+", "a{2,7}", "[a-c]", "[a-d]", "(ab|cd)*e", "(ab|ce)*d", "a.*b", "ä?"]


def names(languages: Languages, patterns: list[str]) -> dict[str, str | None]:
    return {pattern: languages.name_of(pattern_language(languages, pattern)) for pattern in patterns}


def test_a_name_holds_in_every_arena_and_for_one_language() -> None:
    one, other = Languages(), Languages()
    found = names(one, PATTERNS)
    assert names(other, PATTERNS[::-1]) == found
    assert None not in found.values()
    assert len(set(found.values())) == len(PATTERNS)


def test_derivatives_and_complements_have_names() -> None:
    one, other = Languages(), Languages()
    for languages in (one, other):
        languages.name_of(languages.literals(("x", "yy")))
    two = [languages.complement(pattern_language(languages, "ab*c").after(ord("a"))) for languages in (one, other)]
    assert one.name_of(two[0]) == other.name_of(two[1]) is not None
    assert one.name_of(two[0]) != one.name_of(one.complement(two[0]))


@pytest.mark.parametrize("name", ["email", "hostname", "date-time", "uri", "uuid", "ipv6"])
def test_formats_have_names(name: str) -> None:
    found = set()
    for _ in range(2):
        languages = Languages()
        language = format_language(languages, name)
        assert language is not None
        found.add(languages.name_of(language))
    assert len(found) == 1
    assert None not in found


def test_long_chains_have_names_without_recursion() -> None:
    languages = Languages()
    digit = pattern_language(languages, "[0-9]")
    chain = languages.concat(*[digit, languages.literal("x")] * 400)
    assert languages.name_of(chain) is not None
    assert Languages().name_of(languages.literals(("a", "b"))) is not None
