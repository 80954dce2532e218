"""Healing against a plain look at every token."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.constraint.healing import Healing, num_to_heal
from runtime.token_prefixes import TokenPrefixes

ANSWERS = {b"abc", b"b cab", b" abab", b"c"}


@given(
    pending=st.sampled_from([b"a", b" ", b" a", b"ab", b"<", b"k>", b"</thi"]),
    tokens=st.lists(st.integers(0, 34), max_size=8),
    has_grammar=st.booleans(),
)
def test_against_a_look_at_every_token(table, texts, allowed, pending, tokens, has_grammar):
    end = len(table) - 2
    matcher = Healing(pending, table, TokenPrefixes(table), texts(ANSWERS) if has_grammar else None)
    text = b""

    def legal(token):
        if len(text) >= len(pending) and not has_grammar:
            return True
        if token == end:
            return len(text) >= len(pending) and text[len(pending) :] in ANSWERS
        data = table[token]
        if not data:
            return False
        longer = text + data
        if not has_grammar or len(longer) <= len(pending):
            return longer.startswith(pending) or pending.startswith(longer)
        return longer.startswith(pending) and any(answer.startswith(longer[len(pending) :]) for answer in ANSWERS)

    taken = 0
    for token in tokens:
        assert allowed(matcher) == {t for t in range(len(table)) if legal(t)}
        assert matcher.accept(token) == legal(token)
        if legal(token):
            text += table[token] or b""
            taken += 1
        if token == end and legal(token):
            break
    assert matcher.is_over == (len(text) >= len(pending))
    before, twin = allowed(matcher), matcher.fork()
    matcher.rollback(taken)
    assert not matcher.is_over
    assert allowed(twin) == before
    fresh = Healing(pending, table, TokenPrefixes(table), texts(ANSWERS) if has_grammar else None)
    assert allowed(matcher) == allowed(fresh)


class Anything:
    """A grammar that allows every token."""

    def mask_into(self, row):
        row.fill(-1)

    def accept(self, token):
        return True

    def rollback(self, num_tokens):
        pass

    def fork(self):
        return self


def test_what_follows_in_a_token_has_to_be_one_or_two_tokens(allowed):
    table = [b"a", b"ab", b"abc", b"b", b"abb", b"abbb", None]  # nothing is b"c"
    matcher = Healing(b"a", table, TokenPrefixes(table), Anything())
    assert allowed(matcher) == {0, 1, 4}
    assert [matcher.accept(2), matcher.accept(5), matcher.accept(4)] == [False, False, True]


@pytest.mark.parametrize(
    ("pieces", "is_prompt", "count"),
    [
        ([b"!", b" ", b"a"], [True, True, True], 2),
        ([b"!", b"a"], [True, True], 1),
        ([b"!", b"a"], [True, False], 0),
        ([b"!", b"<", b"/"], [True, True, True], 2),
        ([b"<", b"/"], [True, True], 0),
        ([b"a"], [True], 0),
        ([b"!", b"</think>!"], [True, True], 0),
        ([b"!", None, b"a"], [True, True, True], 1),
        ([b"!", b"a", None], [True, True, True], 0),
    ],
)
def test_as_many_are_taken_back_as_a_longer_token_begins_with(table, pieces, is_prompt, count):
    tokens = [table.index(piece) for piece in pieces]
    assert num_to_heal(tokens, is_prompt, table, TokenPrefixes(table)) == count
