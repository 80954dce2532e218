from __future__ import annotations

import itertools
import re
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grammars.regular.agreement import any_case, class_chars, line_chars
from grammars.regular.charset import CharSet
from grammars.regular.language import Languages
from grammars.regular.patterns import pattern_language

EVERYTHING = "".join(map(chr, range(sys.maxunicode + 1)))
ECMA_SPACES = r"\t\n\v\f\r \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
ECMA_DOT = r"[^\n\r\u2028\u2029]"
AWKWARD = "a_0 -\n\r\x1c\x1f\x85\xa0\u2028\ufeff\u0660\u09ef\xe9\xaa\xb2\u4e00\U0001f600"
TEXTS = ["".join(chars) for length in (1, 2) for chars in itertools.product(AWKWARD, repeat=length)]
ATOMS = [r"\d", r"\D", r"\w", r"\W", r"\s", r"\S", ".", r"[^\s-]", r"[^\w]", r"[^\d_]", r"[\sa]", r"[\w-]", "a", "[^a]"]
PLACES = [r"\b", r"\B", "^", "$", "(?<=.)", r"(?<!\w)"]


def in_python(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern.replace("$", r"\Z"))


def in_ecma(pattern: str) -> re.Pattern[str]:
    """As ECMA 262 reads a pattern of `ATOMS` and `PLACES`: its classes are ASCII's, save for two, written out here."""
    pattern = pattern.replace(".", ECMA_DOT).replace(r"[^\s", "[^" + ECMA_SPACES).replace(r"[\s", "[" + ECMA_SPACES)
    pattern = pattern.replace(r"\s", f"[{ECMA_SPACES}]").replace(r"\S", f"[^{ECMA_SPACES}]").replace("$", r"\Z")
    return re.compile(pattern, re.ASCII)


PATTERNS = st.recursive(
    st.sampled_from(ATOMS + PLACES),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
        st.tuples(st.sampled_from(["(?=", "(?!"]), inner).map(lambda pair: f"{pair[0]}{pair[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}"])).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
    ),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(PATTERNS)
def test_what_matches_matches_in_both_dialects_and_what_fails_both_matches_in_neither(pattern: str) -> None:
    languages = Languages()
    both = pattern_language(languages, pattern, dialect="ecma", search=True)
    either = pattern_language(languages, pattern, dialect="ecma", search=True, either=True)
    python, ecma = in_python(pattern), in_ecma(pattern)
    for text in TEXTS:
        matches = python.search(text) is not None, ecma.search(text) is not None
        assert all(matches) or not both.contains(text)
        assert either.contains(text) or not any(matches)


@pytest.mark.parametrize("atom", ATOMS)
def test_one_character_is_told_exactly(atom: str) -> None:
    languages = Languages()
    both = pattern_language(languages, atom, dialect="ecma")
    either = pattern_language(languages, atom, dialect="ecma", either=True)
    python, ecma = in_python(atom), in_ecma(atom)
    for char in EVERYTHING[:0x3000] + AWKWARD:
        matches = python.fullmatch(char) is not None, ecma.fullmatch(char) is not None
        assert (both.contains(char), either.contains(char)) == (all(matches), any(matches)), hex(ord(char))


@pytest.mark.parametrize("place", [r"\b", r"\B"])
def test_between_two_characters_edges_are_told_exactly(place: str) -> None:
    pattern = f"^[^\\n]{place}[^\\n]$"
    languages, python, ecma = Languages(), in_python(pattern), in_ecma(pattern)
    both = pattern_language(languages, pattern, dialect="ecma", search=True)
    either = pattern_language(languages, pattern, dialect="ecma", search=True, either=True)
    for text in map("".join, itertools.product(AWKWARD.replace("\n", ""), repeat=2)):
        matches = python.search(text) is not None, ecma.search(text) is not None
        assert (both.contains(text), either.contains(text)) == (all(matches), any(matches))


@pytest.mark.parametrize("letter", ["d", "w", "s"])
def test_classes_are_those_of_python_and_of_ascii(letter: str) -> None:
    python = CharSet.of((run.start(), run.end() - 1) for run in re.finditer(rf"\{letter}+", EVERYTHING))
    ecma = CharSet.of((run.start(), run.end() - 1) for run in in_ecma(rf"\{letter}").finditer(EVERYTHING))
    assert class_chars(letter, either=False) == python & ecma
    assert class_chars(letter, either=True) == python | ecma
    assert class_chars(letter.upper(), either=False) == (python | ecma).complement()
    assert class_chars(letter.upper(), either=True) == (python & ecma).complement()


def test_lines() -> None:
    assert [char in line_chars(either=False) for char in "a\n\r\u2028\x85"] == [True, False, False, False, True]
    assert [char in line_chars(either=True) for char in "a\n\r\u2028\x85"] == [True, False, True, True, True]


@pytest.mark.parametrize("chars", ["a", "ik", "S", "\u017f", "\u00e9x", "\u0130", "\u0390", "1-", "\u4e00"])
def test_no_case_is_missing_of_what_may_be_forbidden(chars: str) -> None:
    ignoring = re.compile(f"[{chars}]+", re.IGNORECASE)
    python = CharSet.of((run.start(), run.end() - 1) for run in ignoring.finditer(EVERYTHING))
    assert not python - any_case(CharSet.chars(chars), either=True)
    assert not any_case(CharSet.chars(chars), either=False) - python
    if chars.isascii():
        assert any_case(CharSet.chars(chars), either=True) == python


def test_flags_hold_in_what_is_forbidden() -> None:
    languages = Languages()
    no_k = pattern_language(languages, "(?i)^[^k]$", dialect="ecma", search=True)
    assert [no_k.contains(char) for char in "jkK\u212a"] == [True, False, False, False]
    no_start = pattern_language(languages, r"(?i)^(?!s)\w", dialect="ecma", search=True)
    assert [no_start.contains(text) for text in ("ts", "st", "St")] == [True, False, False]
