from __future__ import annotations

import pytest

from grammars import InvalidSpec, UnsupportedConstraint
from grammars.regular.ecma_syntax import read_ecma
from grammars.regular.language import Languages
from grammars.regular.patterns import pattern_language


def accepted(pattern: str, *texts: str, search: bool = False) -> list[bool]:
    language = pattern_language(Languages(), pattern, dialect="ecma", search=search)
    return [language.contains(text) for text in texts]


@pytest.mark.parametrize(
    ("pattern", "inside", "outside"),
    [
        (".", "a\0é\U0010ffff", "\n\r\u2028\u2029"),
        (r"\d", "059", "٣a"),
        (r"\D", "a", "0٣"),
        (r"\W", "-\u2014", "aé٣_"),
        (r"\w", "aZ_9", "é-"),
        (r"\s", " \t\n\v\f\r\xa0\u1680\u2000\u200a\u2028\u2029\u202f\u205f\u3000", "\ufeff\x1c\x85\u200b_"),
        (r"\S", "a\u200b", "\ufeff\x1c\x85 "),
        ("[^]", "a\n\0", ""),
        (r"[\w.-]", "a.-", ",/"),
        ("[a-z-_.]", "amz-_.", "`A"),
        (r"[\d-x]", "5-x", "ay"),
        (r"[+--]", "+,-", "."),
        (r"[\b]", "\b", "b"),
        (r"[\]\\^]", "]\\^", "["),
        ("[a^]", "a^", "b"),
        (r"\/", "/", "\\"),
        (r"\-", "-", "\\"),
        (r"\x41", "A", "x"),
        (r"\u00e9", "é", "u"),
        (r"\u{1F600}", "😀", "u"),
        (r"\ud83d\ude00", "😀", "d"),
        (r"[\ud83d\ude00-\ud83d\ude4f]", "😀😁🙏", "🚀"),
        (r"\cJ", "\n", "J"),
        (r"\0", "\0", "0"),
        (r"\t|\v", "\t\v", "tv"),
        (r"\p{Lu}", "AÉΩ", "aé1"),
        (r"[^\P{Letter}a]", "béΩ", "a1-"),
        ("]", "]", "["),
        ("}", "}", "{"),
        ("{", "{", "}"),
        ("(?i)[b-d]", "bBcD", "aE"),
        ("(?s).", "a\n", ""),
        ("(?:é|€)", "é€", "e"),
    ],
)
def test_one_character(pattern: str, inside: str, outside: str) -> None:
    assert accepted(pattern, *inside) == [True] * len(inside)
    assert accepted(pattern, *outside) == [False] * len(outside)


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        ("a{2}", ["aa"], ["a", "aaa", "a{2}"]),
        ("a{2,}", ["aa", "aaaa"], ["a"]),
        ("a{1,2}?", ["a", "aa"], ["", "aaa"]),
        ("x{a}", ["x{a}"], ["xa"]),
        ("a{", ["a{"], ["a"]),
        ("a{1", ["a{1"], ["a"]),
        ("(?<year>a)(?:b)(c)", ["abc"], ["a"]),
        ("(?P<name_1>a)", ["a"], ["P"]),
        ("a||b", ["a", "", "b"], ["ab"]),
        ("()", [""], ["a"]),
        (r"\Aab\Z", ["ab"], ["Aab", "abZ"]),
        (r"(?:(?=a)){2}a", ["a"], [""]),
        ("(?m)a$\n^b", ["a\nb"], ["ab"]),
    ],
)
def test_several_characters(pattern: str, good: list[str], bad: list[str]) -> None:
    assert accepted(pattern, *good) == [True] * len(good)
    assert accepted(pattern, *bad) == [False] * len(bad)


def test_an_end_is_no_newline_before_the_end() -> None:
    assert accepted("^a$", "a", "a\n", search=True) == [True, False]


def test_an_empty_set_matches_nothing() -> None:
    language = pattern_language(Languages(), "a|[]", dialect="ecma")
    assert language.moves() == ((97, 97, language.arena.epsilon),)


@pytest.mark.parametrize(
    "pattern",
    [
        *("(", ")", "a)", "[", "[a", "[a-", "[z-a]", "*", "a**", "a+*", "a++", "|*", "(?:*)", "^*", r"\b+"),
        *("a{2,1}", "\\", r"\u{110000}", "a{1}{2}", "(?<=a)*"),
    ],
)
def test_what_does_not_parse_is_an_invalid_spec(pattern: str) -> None:
    with pytest.raises(InvalidSpec, match=r"^regex .*\(at [0-9]+\)$"):
        read_ecma(pattern)


@pytest.mark.parametrize("pattern", ["a{,5}", "{2}", r"\1", r"\k<n>", r"\h", r"\u12", "(?>a)", "(?i:a)", r"\p{Nope}"])
def test_what_is_ambiguous_or_unknown_is_refused(pattern: str) -> None:
    with pytest.raises(UnsupportedConstraint):
        read_ecma(pattern)
