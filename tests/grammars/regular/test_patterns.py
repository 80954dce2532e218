from __future__ import annotations

import itertools
import json
import random
import re
import time
import warnings
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grammars import GrammarError, GrammarLimit, InvalidSpec, UnsupportedConstraint
from grammars.regular.language import Language, Languages
from grammars.regular.patterns import pattern_language

CORPUS = Path(__file__).parents[4] / "shared" / "data" / "schemas" / "maskbench.jsonl"
WORDS = ["".join(chars) for length in range(6) for chars in itertools.product("ab-", repeat=length)]
LINES = ["".join(chars) for length in range(5) for chars in itertools.product("ab\n", repeat=length)]

ATOMS = ["a", "b", "-", "[ab]", "[^a]", ".", r"\w", r"\W", "ab", "^", "$", r"\b"]
LOOKS = ["(?<=a)", "(?<!-)", "(?<=[-b])", "(?=a)", "(?!b-)"]
PYTHON = ["(?m:^)", "(?m:$)", r"\A", r"\Z", "(?s:.)"]


def patterns(atoms: list[str]) -> st.SearchStrategy[str]:
    return st.recursive(
        st.sampled_from(atoms),
        lambda inner: st.one_of(
            st.tuples(inner, inner).map("".join),
            st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
            st.tuples(st.sampled_from(["(?=", "(?!"]), inner).map(lambda pair: f"{pair[0]}{pair[1]})"),
            st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{2,}", "*?"])).map(
                lambda pair: f"(?:{pair[0]}){pair[1]}"
            ),
        ),
        max_leaves=7,
    )


def check(pattern: str, dialect: Literal["python", "ecma"], search: bool, texts: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        compiled = re.compile(pattern, re.ASCII)
    match = compiled.search if search else compiled.fullmatch
    language = pattern_language(Languages(), pattern, dialect=dialect, search=search)
    assert [text for text in texts if language.contains(text)] == [text for text in texts if match(text)]


@settings(max_examples=250, deadline=None)
@given(patterns(ATOMS + LOOKS), st.booleans())
def test_ecma_patterns_match_what_python_matches_where_both_agree(pattern: str, search: bool) -> None:
    check(pattern, "ecma", search, WORDS)


@settings(max_examples=250, deadline=None)
@given(patterns(ATOMS + LOOKS + PYTHON), st.booleans())
def test_python_patterns_match_what_python_matches(pattern: str, search: bool) -> None:
    check(pattern, "python", search, LINES)


@pytest.mark.parametrize(
    "pattern",
    [
        "^((?!ab).)*$",
        "^(?!.*aa)(?=.*b)[ab-]{2,4}$",
        "(^|-)a($|-)",
        "^a|b$",
        "a$|^b|-a-",
        r"\bab\b",
        r"a\B-?",
        "(?<=a)b",
        "(?<=ab)-",
        "(?<!ab|--)b$",
        "^(?:(?=a)a|(?!a)-)+$",
        "(?:(?=(?:aa)*$)a)+$",
        "((^|-)(a|b)){2}",
        "(?:(?!a)|b)*-",
        "(a?){3}a{3}",
        "(?:a|b|ab)(?:-|b-)",
        "(?=)a(?!)|b",
        "()|a",
        "(?:a*)*b",
        "(?:(?:a{0,2}b?){0,2}){1,2}$",
    ],
)
@pytest.mark.parametrize("search", [False, True])
def test_lookaround_and_anchors_mean_the_same_wherever_they_stand(pattern: str, search: bool) -> None:
    check(pattern, "ecma", search, WORDS)
    check(pattern, "python", search, WORDS)


def test_a_lookbehind_may_hold_at_the_start_too() -> None:
    language = pattern_language(Languages(), "(?<=^|-)a", dialect="ecma", search=True)
    assert [text for text in ("a", "-a", "ba", "b-a", "") if language.contains(text)] == ["a", "-a", "b-a"]


def test_the_empty_text_has_no_word_edge() -> None:
    # Python before 3.14 says so of neither `\b` nor `\B`.
    assert pattern_language(Languages(), r"\B").contains("")
    assert not pattern_language(Languages(), r"\b").contains("")


@pytest.mark.parametrize("pattern", [r"(a)\1", r"(?<n>a)\k<n>", r"a(?<=ba)b", "(?>a)", r"\e"])
def test_what_is_not_known_is_refused_by_name(pattern: str) -> None:
    with pytest.raises(UnsupportedConstraint) as caught:
        pattern_language(Languages(), pattern, dialect="ecma")
    assert caught.value.path == repr(pattern)


@pytest.mark.parametrize("dialect", ["python", "ecma"])
@pytest.mark.parametrize("pattern", ["(" * 60 + ")" * 60, "a" * 200_001, "(?:(?:^|a){1000}){1000}"])
def test_what_is_too_large_is_refused(pattern: str, dialect: Literal["python", "ecma"]) -> None:
    with pytest.raises(GrammarLimit, match=r"^regex"):
        pattern_language(Languages(), pattern, dialect=dialect)


@pytest.mark.parametrize("dialect", ["python", "ecma"])
def test_groups_nested_as_deep_as_may_be_are_explored(dialect: Literal["python", "ecma"]) -> None:
    for pattern in ("(a?b" * 50 + ")*" * 50, "(b|" * 50 + "a" + ")*c" * 50, "(?=(?!x)a" * 49 + ")" * 49 + "a*"):
        language = pattern_language(Languages(), pattern, dialect=dialect)
        assert len(visited(language, 200)) > 1


def visited(language: Language, most: int) -> set[Language]:
    found, waiting = {language}, [language]
    while waiting and len(found) < most:
        for _, _, after in waiting.pop().moves():
            if after not in found:
                found.add(after)
                waiting.append(after)
    return found


@pytest.mark.parametrize(
    ("pattern", "states"),
    [
        ("(a{0,200}){0,200}", 200),
        ("(?:a?){50}a{50}", 102),
        ("^(([a-z])+.)+[A-Z]([a-z])+$", 9),
        ("(a|aa)+$", 4),
        ("(a*)*b", 3),
        ("(((a+)+)+)+", 2),
        ("(x+x+)+y", 5),
        ("(?:(?:a|b)?){1000}c", 200),
        ("[ab]*a[ab]{0,30}", 40),
        ("(.*a){0,20}", 60),
    ],
)
def test_states_stay_few(pattern: str, states: int) -> None:
    assert len(visited(pattern_language(Languages(), pattern), 200)) <= states


@pytest.mark.parametrize(
    "pattern",
    [
        "(a|b)*a(a|b){30}",
        "(a|b)*a(a|b){1000000}",
        "^.{1,1000000000}$",
        ".{1,2000}",
        "(a{0,200}b?){0,200}",
        "((a{1,100}b{1,100}){1,100}c{1,100}){1,100}",
        "a?b?" * 300,
        "((?!x)a{1,5}){1,100}",
        "^(?!.*foo)(?!.*bar)(?=.*[A-Z]).{8,64}$",
        "(?:" + "|".join(f"w{number}" for number in range(10_000)) + ")+",
    ],
)
@pytest.mark.parametrize("search", [False, True])
def test_hostile_patterns_are_walked_at_a_bounded_cost(pattern: str, search: bool) -> None:
    chooser = random.Random(0)
    started = time.perf_counter()
    language = pattern_language(Languages(), pattern, dialect="ecma", search=search)
    for _ in range(100):
        moves = language.moves()
        if not moves:
            break
        language = chooser.choice(moves)[2]
    assert time.perf_counter() - started < 5


@pytest.fixture(scope="module")
def corpus() -> list[str]:
    if not CORPUS.exists():
        pytest.skip(f"{CORPUS} is not there")
    found: dict[str, None] = {}
    waiting: list[object] = [json.loads(line)["schema"] for line in CORPUS.read_text().splitlines()]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            keyed = value.get("patternProperties")
            several = [value.get("pattern"), *(keyed if isinstance(keyed, dict) else ())]
            found.update((pattern, None) for pattern in several if isinstance(pattern, str))
        waiting += value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return list(found)


@pytest.mark.corpus
def test_every_pattern_of_the_corpus_compiles_into_few_states(corpus: list[str]) -> None:
    refused = []
    for pattern in corpus:
        try:
            language = pattern_language(Languages(), pattern, dialect="ecma", search=True)
        except GrammarError as error:
            refused.append(str(error))
            continue
        assert len(visited(language, 400)) < 400
    assert len(corpus) > 200
    assert not refused


@pytest.mark.corpus
def test_walks_through_patterns_of_the_corpus_match_in_python(corpus: list[str]) -> None:
    chooser = random.Random(1)
    for pattern in corpus:
        language = pattern_language(Languages(), pattern, dialect="ecma", search=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            # Python's `$` lets a newline follow.
            compiled = re.compile(re.sub(r"(?<!\\)\$(?=$|\)|\|)", r"\\Z", pattern), re.ASCII)
        text, here = "", language
        for _ in range(40):
            text_range = [move for move in here.moves() if move[0] < 0x7F]
            if not text_range:
                break
            low, high, after = chooser.choice(text_range)
            text, here = text + chr(chooser.randint(low, min(high, 0x7E))), after
            if "\r" not in text and not re.search("[\x1c-\x1f]", text):
                assert here.nullable == (compiled.search(text) is not None), (pattern, text)


def test_invalid_patterns_are_invalid_specs() -> None:
    for dialect in ("python", "ecma"):
        with pytest.raises(InvalidSpec, match=r"^regex"):
            pattern_language(Languages(), "a(", dialect=dialect)
