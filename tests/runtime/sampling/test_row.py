from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("params", "greedy"),
    [({"temperature": 0.0}, True), ({"temperature": 1e-6}, True), ({"top_k": 1}, True), ({"temperature": 0.01}, False)],
)
def test_greedy(make_row, params, greedy):
    assert make_row(**params).greedy is greedy


def test_held_tokens_are_the_stops_and_the_ends_that_count(make_row):
    common = {"ends": {1, 2}, "stop_token_ids": (2, 3)}
    assert set(make_row(**common, min_new_tokens=1).held_tokens) == {1, 2, 3}
    assert set(make_row(**common, min_new_tokens=1, ignore_eos=True).held_tokens) == {2, 3}
    assert make_row(**common).held_tokens == ()


@pytest.mark.parametrize(
    ("params", "tokens"),
    [
        ({}, None),
        ({"repetition_penalty": 1.1}, [3, 5]),
        ({"frequency_penalty": 0.1}, []),
        ({"presence_penalty": -0.1}, []),
    ],
)
def test_only_the_repetition_penalty_reads_the_prompt(make_row, params, tokens):
    counts = make_row(prompt=(5, 3, 5), **params).counts
    assert (None if counts is None else counts.tokens.tolist()) == tokens
