from __future__ import annotations

import pytest

from runtime.errors import InvalidParameter
from runtime.sampling.stop_pattern import MAX_STOP_PATTERN, StopPattern


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        (r"(a|b)\1", "reference to a group"),
        ("(?>a+)b", "atomic group"),
        ("a++b", "possessive repetition"),
        ("(?x) a", r"\(\?x\)"),
        ("a(?=bc)", "only at one character"),
        ("a{9999}", "more than 256 states"),
        ("a" * (MAX_STOP_PATTERN + 1), f"at most {MAX_STOP_PATTERN} characters"),
        ("(", "unterminated"),
        ("a*", "does not match the empty text"),
        (3, "as a string"),
    ],
)
def test_what_cannot_be_looked_for_is_refused_with_the_reason(pattern, reason):
    with pytest.raises(InvalidParameter, match=reason) as caught:
        StopPattern(pattern)
    assert caught.value.field == "stop_regex"
    assert len(str(caught.value)) < 300


def test_a_long_text_costs_each_character_the_same_work():
    pattern = StopPattern("(a+)+b")  # with backtracking, 30 characters would take minutes
    for _ in range(20_000):
        assert pattern.read("a") is None
    assert pattern.under_way == 0
    assert pattern.read("b") == 0


def test_a_match_that_fails_lets_go_of_its_beginning():
    pattern = StopPattern("ab|bc")
    assert [(pattern.read(char), pattern.under_way) for char in "xa"] == [(None, 1), (None, 1)]
    assert (pattern.read("c"), pattern.under_way) == (None, 3)


def test_a_fork_goes_its_own_way():
    pattern = StopPattern("ab")
    pattern.read("a")
    other = pattern.fork()
    assert other.read("x") is None
    assert pattern.read("b") == 0
