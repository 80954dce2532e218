from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sgdsl as sg
from runtime.handle import gains
from sgdsl.choices import draw, greedy_token_selection, joint_likelihood, token_length_normalized

rows = st.lists(
    st.lists(st.integers(-8, 0).map(lambda n: n / 2), min_size=1, max_size=5), min_size=1, max_size=6
)  # fmt: skip


def greedy_oracle(matrix: list[list[float]]) -> int:
    """The rule as written: pad with the row's mean, keep the rows equal to the column's maximum until one is left."""
    width = max(map(len, matrix))
    padded = {i: row + [sum(row) / len(row)] * (width - len(row)) for i, row in enumerate(matrix)}
    alive = list(padded)
    for column in range(width):
        if len(alive) > 1:
            best = max(padded[i][column] for i in alive)
            alive = [i for i in alive if padded[i][column] == best]
    return alive[0]


@given(rows)
def test_greedy_is_the_rule_as_written(matrix: list[list[float]]) -> None:
    assert greedy_token_selection.choose(matrix) == greedy_oracle(matrix)


@given(rows)
def test_length_normalized_is_the_first_best_mean(matrix: list[list[float]]) -> None:
    means = [sum(row) / len(row) for row in matrix]
    assert token_length_normalized.choose(matrix) == means.index(max(means))


@given(rows)
def test_joint_is_the_first_best_sum(matrix: list[list[float]]) -> None:
    sums = [sum(row) for row in matrix]
    assert joint_likelihood.choose(matrix) == sums.index(max(sums))


def test_certain_tokens_count() -> None:
    # a logprob of 0.0 is a token like any other: means are -1 and -0.75
    assert token_length_normalized.scores([[-1.0, -1.0], [0.0, 0.0, 0.0, -3.0]]) == [-1.0, -0.75]
    assert token_length_normalized.choose([[-1.0], [0.0, 0.0]]) == 1


def test_impossible_choices_lose() -> None:
    for method in (token_length_normalized, joint_likelihood, greedy_token_selection):
        assert method.choose([[-math.inf, 0.0], [-5.0, -5.0]]) == 1


def test_draws_follow_the_softmax() -> None:
    generator = random.Random(1)
    drawn = [draw([0.0, -math.log(3), -math.inf], 1.0, generator) for _ in range(4000)]
    assert drawn.count(0) / 4000 == pytest.approx(0.75, abs=0.03)
    assert drawn.count(2) == 0
    assert {draw([-1.0, -2.0], 0.01, generator) for _ in range(100)} == {0}


def test_an_unconditional_method_asks_the_backend_for_more(mock: sg.Mock) -> None:
    @sg.function
    def pick(s: sg.ProgramState) -> str:
        s += "Q" + sg.select("a", ["one two", "three"], choices_method=sg.unconditional_likelihood_normalized)
        return str(s["a"])

    state = pick.run(backend=sg.Mock({"a": [[-3.0, -1.0], [-1.5]]}))
    assert state.ret_value == "three"
    meta = state.get_meta_info("a")
    assert meta["unconditional_token_logprobs"] == [[0.0, 0.0], [0.0]]
    assert meta["scores"] == [-2.0, -1.5]
    mock.capabilities = sg.Capabilities(labels=True)
    with pytest.raises(sg.BackendCapabilityError, match="unconditional_likelihood_normalized"):
        pick.run(backend=mock)


def test_what_is_impossible_with_the_prompt_stays_impossible() -> None:
    assert gains([[-1.0, -math.inf], [-2.0]], [[0.0, -math.inf], [-0.5]]) == ((-1.0, -math.inf), (-1.5,))


@pytest.mark.parametrize("raised", [ValueError("mine"), SystemExit("mine")])
def test_a_method_that_raises_harms_nobody_else(raised: BaseException, tiny_engine: Any) -> None:
    def score(rows: object) -> list[float]:
        raise raised

    @sg.function
    def pick(s: sg.ProgramState, method: sg.ChoicesMethod) -> str:
        s += "Q" + sg.select("a", ["one", "two"], choices_method=method)
        return str(s["a"])

    with pytest.raises(sg.ProgramError, match=r'select "a": .*mine'):
        pick.run(sg.ChoicesMethod("raising", score), backend=tiny_engine)
    assert pick.run(token_length_normalized, backend=tiny_engine).ret_value in ("one", "two")
