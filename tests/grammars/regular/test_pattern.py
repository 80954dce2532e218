from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grammars import GrammarLimit, InvalidSpec, UnsupportedConstraint
from grammars.engines.automaton import START
from grammars.engines.outlines import automaton_of
from grammars.regular.pattern import MAX_PATTERN_LENGTH, parse_pattern

SAMPLE = [chr(code) for code in [*range(0x250), 0x660, 0x2028, 0x212A, 0x3000, 0xFEFF, 0xFFFD, 0x1F600, 0x10FFFE]]


def accepts(pattern: str, *texts: str, search: bool = False) -> list[bool]:
    automaton = automaton_of(parse_pattern(pattern, search=search), 4096)
    return [bool(automaton.final[automaton.run(START, text.encode())]) for text in texts]


@pytest.mark.parametrize(
    "pattern",
    [
        *(
            ".",
            r"\d",
            r"\D",
            r"\w",
            r"\W",
            r"\s",
            r"\S",
            "(?s).",
            "(?s:.)",
            "[^a]",
            "[^\n]",
            r"[\w\-[\]]",
            "[]a]",
            "[^]a]",
        ),
        *(
            "(?i)k",
            "(?i)[^k]",
            "(?i)[J-l]",
            "(?i:é)",
            r"[^\W\d_]",
            r"[\s\S]",
            "[+--]",
            "[--a]",
            "[&&||~~[]",
            r"\x41|\u00e9",
        ),
        *("(?i)[Z-a]", "[a-c-]", "(?:(?-i:a)|b)", "[\U0001f600-\U0001f64f]", "[é-ü]", r"\.", r"\\|\]"),
    ],
)
@pytest.mark.filterwarnings("ignore::FutureWarning")  # of Python's own reading
def test_single_characters_match_as_in_python(pattern: str) -> None:
    expected = [re.fullmatch(pattern, char, re.ASCII) is not None for char in SAMPLE]
    assert accepts(pattern, *SAMPLE) == expected


@pytest.mark.parametrize(
    "pattern",
    ["^ab$", r"\Aab\Z", "^ab|b$", "(^a|b)b?$", "^(?:a|ab$)", "^^ab$$", "(?#note [)ab", "^$", "", "a|", "(?m)^ab$"],
)
def test_outer_anchors_mean_what_they_mean_in_python(pattern: str) -> None:
    texts = ["", "a", "b", "ab", "abb", "ab\n", "xab", "\n"]
    assert accepts(pattern, *texts) == [re.fullmatch(pattern, text, re.ASCII) is not None for text in texts]


@pytest.mark.parametrize(
    "pattern", ["a", "^a", "a$", "^a$", "^a|b", "(^a|b)c$", "", "^", "^$", "(?:a|b$)", "a.c", "^(a|b)*$"]
)
def test_searching_finds_a_match_anywhere(pattern: str) -> None:
    texts = ["", "a", "b", "c", "ac", "bc", "xac", "xbc", "ab", "xa", "ax", "bx", "abc", "xa-cx", "a\nb"]
    assert accepts(pattern, *texts, search=True) == [re.search(pattern, text) is not None for text in texts]


PIECES = st.sampled_from(["a", "b", "é", "[ab]", "[^a]", ".", r"\d", "(?i:A)", "😀"])
PATTERNS = st.recursive(
    PIECES,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{,2}", "*?", "{0}"])).map(
            lambda pair: f"({pair[0]}){pair[1]}"
        ),
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(PATTERNS, st.lists(st.text("abAé😀1\n", max_size=5), min_size=8, max_size=8))
def test_random_patterns_accept_what_python_accepts(pattern: str, texts: list[str]) -> None:
    assert accepts(pattern, *texts) == [re.fullmatch(pattern, text, re.ASCII) is not None for text in texts]


@pytest.mark.parametrize(
    "pattern",
    [
        r"(?=a)b",
        "(?!a)b",
        "(?<=a)b",
        "a^b",
        "a$b",
        r"\bfoo",
        r"(a)\1",
        "(a)?(?(1)b)",
        "(?>a)",
        "a++",
        "(?x) a",
        "(?u:a)",
    ],
)
def test_what_no_automaton_stands_for_is_refused_by_name(pattern: str) -> None:
    with pytest.raises(UnsupportedConstraint) as caught:
        parse_pattern(pattern)
    assert repr(pattern) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "pattern", ["(", "[", "a{2,1}", "*", r"\p{L}", "(?u)a", "[z-a]", r"[^\x00-\U0010ffff]", "\\", "(?P<1>a)"]
)
def test_what_does_not_parse_is_an_invalid_spec(pattern: str) -> None:
    with pytest.raises(InvalidSpec, match=r"^regex "):
        parse_pattern(pattern)


@pytest.mark.parametrize("pattern", ["a" * (MAX_PATTERN_LENGTH + 1), "(" * 5000 + ")" * 5000])
def test_patterns_too_long_or_too_deep_are_refused(pattern: str) -> None:
    with pytest.raises(GrammarLimit):
        parse_pattern(pattern)


def test_the_last_code_point_is_left_to_the_engine() -> None:
    assert accepts(r".|\U0010fffe", "\U0010fffe", "\U0010ffff") == [True, False]


def test_sets_python_warns_about_are_read_without_a_warning() -> None:
    assert accepts("[[a]", "[", "a", "b") == [True, True, False]
    assert accepts("[+--]", ",", "-", ".") == [True, True, False]
    assert accepts("[a&&b||~~]", "&", "|", "~", "c") == [True, True, True, False]
