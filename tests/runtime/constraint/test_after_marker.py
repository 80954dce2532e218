"""A grammar after a marker, against a plain search in the text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.constraint.after_marker import AfterMarker
from runtime.constraint.marker import Marker
from runtime.token_prefixes import TokenPrefixes

ANSWERS = {b"abc", b"ab ab", b"!"}


@pytest.fixture(scope="session")
def make(table, texts):
    end, special = len(table) - 2, len(table) - 1

    def build(text="</think>", names=()):
        marker = Marker(text, table, TokenPrefixes(table), [end], dict.fromkeys(names, special))
        return AfterMarker(marker, texts(ANSWERS))

    return build


def plainly(table, tokens, marker):
    """Whether the tokens may stand so: whatever may come before the marker, no token over it, then the answer."""
    end, special = len(table) - 2, len(table) - 1
    text, behind = b"", None
    for token in tokens:
        data = table[token]
        if behind is not None:
            if token == end:
                return behind in ANSWERS
            behind += data or b"?"
            if not any(answer.startswith(behind) for answer in ANSWERS):
                return False
            continue
        if token == end:
            return False
        if token == special:
            text += b"\xff"  # breaks any marker under way
            continue
        text += data
        found = text.find(marker)
        if found >= 0:
            if found + len(marker) < len(text):
                return False
            behind = b""
    return True


@given(
    tokens=st.lists(st.integers(0, 34), max_size=12),
    marker=st.sampled_from(["</think>", "aab", "aa", "abcab", "a", "!"]),
)
def test_against_a_plain_search(make, table, allowed, tokens, marker):
    matcher = make(marker)
    taken = []
    for token in tokens:
        legal = {t for t in range(len(table)) if plainly(table, [*taken, t], marker.encode())}
        assert allowed(matcher) == legal
        assert matcher.accept(token) == (token in legal)
        if token in legal:
            taken.append(token)
        if token == len(table) - 2 and token in legal:
            break
    before = allowed(matcher)
    twin = matcher.fork()
    matcher.rollback(len(taken))
    fresh = make(marker)
    assert allowed(matcher) == allowed(fresh)
    for token in taken:
        assert matcher.accept(token)
    assert allowed(matcher) == allowed(twin) == before
    assert matcher.is_over == twin.is_over


def test_a_marker_that_is_a_special_token(make, table):
    special = len(table) - 1
    matcher = make("</think>", ["</think>"])
    assert matcher.accept(0)
    assert matcher.accept(special)
    assert matcher.is_over
    assert not make("</think>").accept(special) or not make("</think>").is_over


def test_only_the_grammar_ends_and_forces(make, table):
    matcher = make()
    assert matcher.accept(table.index(b"!"))
    assert (matcher.forced(), matcher.is_complete(), matcher.is_exhausted()) == ([], False, False)
    assert matcher.accept(table.index(b"</think>"))
    assert matcher.forced() == [len(table) - 3]
    assert not matcher.is_complete()
    assert matcher.accept(table.index(b"!"))
    assert matcher.is_complete()
    assert matcher.is_exhausted()
    with pytest.raises(ValueError, match="num_tokens"):
        matcher.rollback(4)
