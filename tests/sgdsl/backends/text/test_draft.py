from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.sampling.params import SamplingParams
from sgdsl.backends.text.draft import Draft, Taken, settings_of

PARAMS = SamplingParams()


def draft(*pieces: str, reason: str = "length") -> Draft:
    return Draft(pieces, reason, settings_of(PARAMS))


def test_constant_text_is_followed_or_nothing_is_taken() -> None:
    made = draft("ab", "cd", "ef")
    assert not made.follow("abd")
    assert made.follow("abc")
    assert made.text() == "def"
    assert made.follow("")
    assert made.follow("def")
    assert not made.follow("x")


@pytest.mark.parametrize(
    ("params", "reason", "is_last", "taken", "left"),
    [
        (SamplingParams(stop=("; ",)), "length", False, Taken(("one",), "stop", "; "), "; two"),
        (SamplingParams(stop_regex="t[wx]"), "length", False, Taken(("one", ";", " "), "stop", "t[wx]"), "two"),
        (SamplingParams(stop=("X",), max_new_tokens=2), "stop", False, Taken(("one", ";"), "length"), " two"),
        (SamplingParams(max_new_tokens=3), "stop", False, Taken(("one", ";", " two"), "length"), ""),
        (SamplingParams(stop=("X",)), "stop", False, Taken(("one", ";", " two"), "stop"), ""),
        (SamplingParams(stop=("X",)), "length", False, None, "one; two"),
        (SamplingParams(max_new_tokens=0), "length", False, Taken((), "length"), "one; two"),
        (SamplingParams(stop=("X",)), "length", True, Taken(("one", ";", " two"), "length"), ""),
        (
            SamplingParams(stop=("o X",), max_new_tokens=None),
            "stop",
            False,
            Taken(("one", ";", " tw", "o"), "stop"),
            "",
        ),
    ],
)
def test_a_gen_takes_up_to_its_end(
    params: SamplingParams, reason: str, is_last: bool, taken: Taken | None, left: str
) -> None:
    made = draft("one", ";", " two", reason=reason)
    assert made.take(params, is_last=is_last) == taken
    assert made.text() == left


def test_where_nothing_is_left_nothing_is_known() -> None:
    for reason in ("stop", "length"):
        assert draft(reason=reason).take(PARAMS, is_last=False) is None
        assert draft(reason=reason).take(PARAMS, is_last=True) == Taken((), reason)


def test_two_gens_share_a_call_when_they_sample_alike() -> None:
    assert settings_of(SamplingParams(stop=("a",), max_new_tokens=3)) == settings_of(SamplingParams(min_new_tokens=1))
    assert settings_of(SamplingParams(temperature=0.5)) != settings_of(PARAMS)


@given(st.lists(st.text("ab;", max_size=3)), st.lists(st.integers(0, 4), max_size=5))
def test_nothing_is_lost_nor_made_up(pieces: list[str], limits: list[int]) -> None:
    made, got = draft(*pieces), ""
    for limit in limits:
        found = made.take(SamplingParams(stop=(";",), max_new_tokens=limit), is_last=False)
        got += "" if found is None else found.text
        got += ";" * made.follow(";")
    assert got + made.text() == "".join(pieces)
