from __future__ import annotations

import pytest

from runtime.errors import InvalidParameter
from runtime.sampling.stop_strings import MAX_STOP_CHARACTERS, MAX_STOPS, StopStrings, check_stop_strings


def completed(strings: tuple[str, ...], text: str) -> list[str | None]:
    automaton, state, out = StopStrings(strings), 0, []
    for char in text:
        state = automaton.follow(state, char)
        out.append(automaton.completed(state))
    return out


def test_the_longest_string_that_ends_at_a_character_is_told():
    assert completed(("he", "she", "hers", "his"), "ushers") == [None, None, None, "she", None, "hers"]
    assert completed(("aa", "a"), "aab") == ["a", "aa", None]


def test_states_are_as_many_as_characters():
    strings = ("x" * 8000, "x" * 4000 + "y" * 4000)
    assert len(StopStrings(strings).lengths) == 1 + 8000 + 4000


def test_a_string_inside_a_longer_one_is_told_within_it():
    assert completed(("abcd", "bc"), "abcx") == [None, None, "bc", None]


@pytest.mark.parametrize(
    ("strings", "message"),
    [
        (("stop",) * 10_000, f"'10000 strings' is not allowed: at most {MAX_STOPS} strings"),
        (("x" * 20_000,), f"'20000 characters' is not allowed: at most {MAX_STOP_CHARACTERS} characters"),
        ("stop", "a tuple of non-empty strings"),
        (("a", ""), "a tuple of non-empty strings"),
    ],
)
def test_too_many_are_refused_in_one_short_line(strings, message):
    with pytest.raises(InvalidParameter, match=message) as caught:
        check_stop_strings(strings)
    assert caught.value.field == "stop"
    assert len(str(caught.value)) < 120
    check_stop_strings(("x" * 16,) * 1024)
