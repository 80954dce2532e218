from __future__ import annotations

import math
from dataclasses import FrozenInstanceError

import pytest

from grammars import Choice, JsonSchema, Regex
from grammars.spec import Gbnf, Lark, StructuralTag
from runtime.errors import InvalidParameter
from runtime.sampling.params import SamplingParams

WRONG = [
    ("max_new_tokens", -1),
    ("max_new_tokens", 1.5),
    ("max_new_tokens", True),
    ("min_new_tokens", -1),
    ("min_new_tokens", 129),  # above the default max_new_tokens
    ("n", 0),
    ("temperature", -0.1),
    ("temperature", math.nan),
    ("temperature", math.inf),
    ("temperature", "1"),
    ("top_k", 0),
    ("top_k", -2),
    ("top_p", 0.0),
    ("top_p", 1.01),
    ("min_p", -0.1),
    ("min_p", 1.1),
    ("frequency_penalty", 2.1),
    ("presence_penalty", -2.1),
    ("repetition_penalty", 0.0),
    ("repetition_penalty", 2.5),
    ("seed", -1),
    ("stop", "END"),
    ("stop", ("",)),
    ("stop", (3,)),
    ("stop_regex", "("),
    ("stop_regex", 3),
    ("stop_regex", "a*"),
    ("constraint", "[ab]"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_bad_value_is_named_in_one_line(name, value):
    with pytest.raises(InvalidParameter) as caught:
        SamplingParams(**{name: value})
    assert caught.value.field == name
    assert caught.value.value == value or value != value
    assert str(caught.value).startswith(f"{name}={value!r} is not allowed: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"logit_bias": {-1: 1.0}}, "logit_bias token"),
        ({"logit_bias": {3: math.nan}}, "logit_bias[3]"),
        ({"logit_bias": {3: 10**400}}, "logit_bias[3]"),
        ({"stop_token_ids": (1, -2)}, "stop_token_ids"),
    ],
)
def test_a_bad_element_is_named(params, field):
    with pytest.raises(InvalidParameter) as caught:
        SamplingParams(**params)
    assert caught.value.field == field


def test_edges_are_allowed_and_the_value_is_frozen():
    params = SamplingParams(
        max_new_tokens=0, temperature=0, top_k=1, top_p=1, min_p=1, repetition_penalty=2, frequency_penalty=-2, seed=0
    )
    with pytest.raises(FrozenInstanceError):
        params.seed = 1
    assert SamplingParams(max_new_tokens=None, min_new_tokens=10_000).max_new_tokens is None


def test_parse_reads_the_dictionary_form():
    params = SamplingParams.parse(
        {
            "temperature": None,
            "max_new_tokens": None,
            "stop": "END",
            "stop_token_ids": [1, 2],
            "logit_bias": {"5": 1.5},
            "sampling_seed": 9,
            "regex": "a+",
            "json_schema": None,
        }
    )
    assert params == SamplingParams(
        max_new_tokens=None,
        stop=("END",),
        stop_token_ids=(1, 2),
        logit_bias={5: 1.5},
        seed=9,
        constraint=Regex("a+"),
    )
    assert SamplingParams.parse(None) == SamplingParams.parse({"stop": None, "seed": None}) == SamplingParams()
    assert SamplingParams.parse({"seed": 4, "sampling_seed": None}).seed == 4


def test_parse_makes_constraints():
    assert SamplingParams.parse({"choice": ["a", "b"]}).constraint == Choice(("a", "b"))
    assert SamplingParams.parse({"json_schema": {"type": "null"}}).constraint == JsonSchema.of({"type": "null"})
    assert SamplingParams.parse({"constraint": Regex("x")}).constraint == Regex("x")
    assert SamplingParams.parse({"ebnf": 'root ::= "a"'}).constraint == Gbnf('root ::= "a"')
    assert SamplingParams.parse({"lark": 'start: "a"'}).constraint == Lark('start: "a"')
    shape = {"structures": [{"begin": "<f>", "schema": {"type": "null"}, "end": "</f>"}], "triggers": ["<f>"]}
    assert SamplingParams.parse({"structural_tag": shape}).constraint == StructuralTag.of(shape)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"temprature": 1.0}, "temprature"),
        ({"stop": 5}, "stop"),
        ({"stop_token_ids": 5}, "stop_token_ids"),
        ({"logit_bias": {"a": 1.0}}, "logit_bias"),
        ({"logit_bias": [1, 2]}, "logit_bias"),
        ({"choice": "ab"}, "choice"),
        ({"regex": "a", "choice": ["a"]}, "choice"),
        ({"regex": "a", "constraint": Regex("b")}, "constraint"),
    ],
)
def test_parse_refuses_and_names_the_field(values, field):
    with pytest.raises(InvalidParameter) as caught:
        SamplingParams.parse(values)
    assert caught.value.field == field
