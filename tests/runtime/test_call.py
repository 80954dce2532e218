from __future__ import annotations

from typing import Any

import pytest

from runtime.call import Ask, parse_params, parse_prompts, sample_params
from runtime.errors import InvalidParameter
from runtime.sampling.params import SamplingParams


@pytest.mark.parametrize(
    ("prompt", "input_ids", "parsed"),
    [
        ("x", None, (["x"], False)),
        (["x", "y"], None, (["x", "y"], True)),
        ((), None, ([], True)),
        ("", None, ([""], False)),
        (None, [1, 2], ([[1, 2]], False)),
        (None, [[1], (2, 3)], ([[1], [2, 3]], True)),
        (None, [], ([[]], False)),
        (None, [[]], ([[]], True)),
    ],
)
def test_prompts_in_every_form(prompt: Any, input_ids: Any, parsed: Any) -> None:
    assert parse_prompts(prompt, input_ids) == parsed


@pytest.mark.parametrize(
    ("prompt", "input_ids"), [(None, None), ("x", [1]), (5, None), (["x", 5], None), (None, "12"), (None, 5)]
)
def test_what_is_no_prompt_is_refused(prompt: Any, input_ids: Any) -> None:
    with pytest.raises(InvalidParameter):
        parse_prompts(prompt, input_ids)


def test_parameters_in_every_form() -> None:
    params = SamplingParams(temperature=0.5)
    assert parse_params(params) is params
    assert parse_params({"temperature": 0.5}) == params
    assert parse_params(None) == SamplingParams()


def test_samples_have_seeds_of_their_own() -> None:
    params = SamplingParams(n=3, seed=7)
    assert [sample_params(params, i).seed for i in range(3)] == [7, 8, 9]
    assert sample_params(params, 1).n == 1
    assert sample_params(SamplingParams(n=3), 1).seed is None
    single = SamplingParams(seed=7)
    assert sample_params(single, 0) is single


def test_log_probabilities_are_asked_for_or_not() -> None:
    assert Ask().top is None
    assert Ask(top_logprobs_num=5).top is None
    assert Ask(return_logprob=True, top_logprobs_num=5).top == 5
