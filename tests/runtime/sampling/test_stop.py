from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from runtime.errors import InvalidParameter
from runtime.sampling.stop import StopMatcher

ALPHABET = "ab\nX é"
TEXTS = st.text(alphabet=ALPHABET, max_size=24)
STOPS = st.lists(st.text(alphabet=ALPHABET, min_size=1, max_size=4), max_size=4).map(tuple)
PATTERNS = (
    None,
    "ab",
    "a+b",
    r"\n\s*\n",
    r"a.*X",
    r"a.*?X",
    r"(?s)a.*X",
    r"(?i)xA",
    r"(?i:x)A|b(?-i:a)b",
    r"(?:ab|ba){2}",
    r"[^a]b\b",
    r"^b",
    r"(?m)^b[ab]",
    r"(?m)a$",
    r"b$a|X",
    r"\bab\B.",
    r"é\w",
    r"(?a)\wb\W",
    r"a(?=b)",
    r"a(?!b)X",
    r"(?<=a)b",
    r"[a-b]{3}|\s[\sX]",
    r"(?s)a$.|b\Z",
    r"(?<!a)b(?!b)",
    r"$(?<=X)",
    r"(?:a?b?)*X",
    r"(?:|a|ab){2,3}\n",
    r"(?i)É\b",
    r"\Bé",
)
ATOMS = st.sampled_from(
    ["a", "b", "X", " ", "é", ".", r"\n", "[ab]", "[^a]", r"\w", r"\s", r"\b", r"\B", "^", "$", "(?=a)", "(?<!b)"]
)


def repeated(atom: str) -> st.SearchStrategy[str]:
    # Of what may be empty `re` gives up some repetitions, so that only what reads something is repeated here.
    times = st.sampled_from(["", "", "?", "*", "+", "+?", "{2}", "{1,2}", "{0,3}"])
    return times.map(lambda suffix: f"(?:{atom}){suffix}")


def parts(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.tuples(inner, inner)
    return st.one_of(pairs.map("".join), pairs.map(lambda both: f"(?:{both[0]}|{both[1]})"), inner.flatmap(repeated))


WRITTEN = st.tuples(st.sampled_from(["", "", "(?i)", "(?m)", "(?s)", "(?a)"]), st.recursive(ATOMS, parts, max_leaves=8))


def scan(text: str, stop: tuple[str, ...], pattern: str | None) -> tuple[str, str | None]:
    """The kept text and the match, by searching every beginning of the text anew."""
    for end in range(1, len(text) + 1):
        so_far = text[:end]
        found = [(so_far.find(s), s) for s in stop if s in so_far]
        match = re.search(pattern, so_far) if pattern is not None else None
        if match is not None:
            found.append((match.start(), pattern))
        if found:
            begin = min(start for start, _ in found)
            return text[:begin], next(what for start, what in found if start == begin)
    return text, None


def feed(matcher: StopMatcher, pieces: list[str]) -> tuple[str, str | None]:
    emitted, matched = "", None
    for piece in pieces:
        result = matcher.push(piece)
        emitted += result.emit
        matched = result.matched
        if matched is not None:
            break
    return emitted + matcher.flush(), matched


def cut(text: str, places: list[int]) -> list[str]:
    bounds = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[a:b] for a, b in pairwise(bounds)]


@settings(max_examples=600, deadline=None)
@given(TEXTS, STOPS, st.sampled_from(PATTERNS), st.lists(st.integers(0, 30), max_size=6))
@example("abab", ("abab", "ba"), None, [2])
@example("aaab", ("aab",), None, [1, 2, 3])
@example("ab", ("ab",), "ab", [])
def test_any_cutting_gives_what_a_full_scan_gives(text, stop, pattern, places):
    expected = scan(text, stop, pattern)
    matcher = StopMatcher(stop, pattern)
    assert feed(matcher, cut(text, places)) == expected
    assert feed(StopMatcher(stop, pattern), list(text)) == expected
    assert matcher.matched == expected[1]


@settings(max_examples=600, deadline=None)
@given(st.text(alphabet=ALPHABET, max_size=10), WRITTEN.map("".join))
@example("a\n", r"a$\n")
@example("a\nb", r"(?s)a$..")
def test_a_pattern_finds_what_re_finds(text, pattern):
    assume(re.search(pattern, "") is None)
    try:
        matcher = StopMatcher((), pattern)
    except InvalidParameter as error:
        assert "does not match the empty text" in str(error)  # noqa: PT017
        assert r"\B" in pattern  # before 3.14 `re` does not find it in the empty text
        return
    assert feed(matcher, list(text)) == scan(text, (), pattern)


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.lists(st.text(alphabet="ab", min_size=1, max_size=9), min_size=1, max_size=40).map(tuple))
def test_many_strings_are_found_as_by_a_full_scan(text, stop):
    assert feed(StopMatcher(stop), list(text)) == scan(text, stop, None)


@settings(max_examples=200, deadline=None)
@given(TEXTS, STOPS)
def test_strings_hold_back_no_more_than_a_stop_may_need(text, stop):
    matcher = StopMatcher(stop)
    emitted = ""
    for end, character in enumerate(text, 1):
        result = matcher.push(character)
        emitted += result.emit
        if result.matched is not None:
            return
        begins = [size for s in stop for size in range(1, len(s)) if text[:end].endswith(s[:size])]
        assert len(text[:end]) - len(emitted) == max(begins, default=0)


@pytest.mark.parametrize(
    ("pattern", "text", "emitted"),
    [
        ("a+b", "xaax", "xaax"),
        ("a+b", "xaa", "x"),
        (r"\n\s*END", "one\n  \nE", "one"),
        (r"[0-9]+\.", "v12", "v"),
        (r"(?i)stop", "a ST", "a "),
        (r"a{2}X", "aaa", "a"),
        (r"(?:a|b)*X", "zzab", "zz"),
    ],
)
def test_a_pattern_holds_back_from_where_a_match_may_be_under_way(pattern, text, emitted):
    assert StopMatcher((), pattern).push(text).emit == emitted


def test_an_earlier_completion_beats_an_earlier_start():
    assert feed(StopMatcher(("abcd", "bc")), ["abcd"]) == ("a", "bc")


def test_of_stops_complete_at_once_the_first_to_start_counts():
    assert feed(StopMatcher(("cd", "bcd")), ["ab", "cd"]) == ("a", "bcd")


def test_without_stops_text_passes_through():
    matcher = StopMatcher()
    assert [matcher.push(piece).emit for piece in ("a", "", "b\n")] == ["a", "", "b\n"]
    assert matcher.flush() == ""
    assert matcher.total == "ab\n"


def test_total_counts_the_stop_and_what_follows_it():
    matcher = StopMatcher(("##",))
    assert matcher.push("one #").emit == "one "
    assert matcher.total == "one #"
    result = matcher.push("# two")
    assert (result.emit, result.matched) == ("", "##")
    assert (matcher.push(" three").emit, matcher.push("").matched) == ("", "##")
    assert matcher.flush() == ""
    assert matcher.total == "one ## two three"


def test_flush_gives_the_rest_once():
    matcher = StopMatcher(("END",))
    assert matcher.push("the EN").emit == "the "
    assert matcher.flush() == "EN"
    assert matcher.flush() == ""


@settings(max_examples=200, deadline=None)
@given(TEXTS, TEXTS, TEXTS, STOPS, st.sampled_from(PATTERNS))
def test_forks_do_not_see_each_other(before, one, other, stop, pattern):
    first = StopMatcher(stop, pattern)
    start = first.push(before).emit
    second = first.fork()
    texts = []
    for matcher, after in ((first, one), (second, other)):
        emitted = start + matcher.push(after).emit + matcher.flush()
        texts.append((emitted, matcher.matched))
        assert matcher.total == before + after
    assert texts == [scan(before + one, stop, pattern), scan(before + other, stop, pattern)]
