from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import pytest

import sgdsl as sg
from grammars.spec import Gbnf, JsonSchema, Lark, Regex, Sequence, Spec, StructuralTag
from sgdsl.ir import Gen, Select, Text
from sgdsl.sampling import Sampling


def only(expr: sg.Expr) -> Any:
    (node,) = expr.nodes
    return node


def test_expressions_concatenate_and_do_not_change() -> None:
    a = sg.gen("a")
    whole = "x" + a + "y" + sg.select("b", ["1", "2"])
    assert [type(node) for node in whole.nodes] == [Text, Gen, Text, Select]
    assert len(a.nodes) == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        a.nodes = ()  # type: ignore[misc]


def test_a_name_twice_within_one_expression_is_refused() -> None:
    with pytest.raises(ValueError, match="'a' is used twice"):
        sg.gen("a") + sg.select("a", ["1"])
    with pytest.raises(ValueError, match="twice"):
        sg.user(sg.gen("a")) + sg.assistant(sg.gen("a"))
    assert sg.gen() + sg.gen()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"max_tokens": -1}, "max_tokens=-1"),
        ({"temperature": math.nan}, "temperature=nan"),
        ({"temperature": -0.1}, "temperature=-0.1"),
        ({"top_p": 0.0}, "top_p=0"),
        ({"top_k": 0}, "top_k=0"),
        ({"min_tokens": 5, "max_tokens": 3}, "min_tokens=5"),
        ({"n": 0}, "n=0"),
        ({"seed": -1}, "seed=-1"),
        ({"stop": [""]}, "stop="),
        ({"stop": 3}, "stop=3"),
        ({"stop_regex": "("}, "stop_regex="),
        ({"logit_bias": {-1: 2.0}}, "logit_bias"),
        ({"logit_bias": [1]}, "logit_bias"),
        ({"top_logprobs_num": -1}, "top_logprobs_num=-1"),
        ({"return_logprob": 1}, "return_logprob=1"),
        ({"timeout": 0}, "timeout=0"),
        ({"priority": 1.5}, "priority=1.5"),
        ({"dtype": list}, "dtype="),
        ({"json_schema": "{"}, "json_schema"),
        ({"regex": 3}, "regex"),
        ({"choices": []}, "choices="),
        ({"choices_method": sg.joint_likelihood}, "choices_method"),
        ({"name": ""}, "name="),
    ],
)
def test_bad_arguments_are_named(options: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        sg.gen(**options)


def test_two_constraints_are_both_named() -> None:
    with pytest.raises(ValueError, match=r"regex and json_schema are given together"):
        sg.gen("a", regex="a", json_schema={})
    with pytest.raises(ValueError, match=r"dtype and type"):
        sg.gen("a", dtype=int, type=int)


TAGS = {"structures": [{"begin": "<f>", "schema": {}, "end": "</f>"}], "triggers": ["<f"]}


@pytest.mark.parametrize(
    ("options", "spec"),
    [
        ({"grammar": 'root ::= "a"'}, Gbnf('root ::= "a"')),
        ({"grammar": Sequence(("a", Regex("b+")))}, Sequence(("a", Regex("b+")))),
        ({"lark": 'start: "a"'}, Lark('start: "a"')),
        ({"structural_tag": TAGS}, StructuralTag.of(TAGS)),
        ({"structural_tag": json.dumps(TAGS)}, StructuralTag.of(TAGS)),
    ],
)
def test_grammars_become_specs(options: dict[str, Any], spec: Spec) -> None:
    assert only(sg.gen("a", **options)) == Gen(name="a", constraint=spec)


@pytest.mark.parametrize("kind", ["grammar", "lark", "structural_tag", "json_schema", "regex"])
@pytest.mark.parametrize("value", ["", 3, b"x"])
def test_what_is_no_grammar_is_refused_by_name(kind: str, value: Any) -> None:
    if (kind, value) != ("regex", ""):  # the pattern of the empty text
        with pytest.raises(ValueError, match=rf"^{kind}"):
            sg.gen("a", **{kind: value})  # type: ignore[arg-type]


def test_a_schema_nested_without_end_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(100_000):
        schema = {"items": schema}
    with pytest.raises(ValueError, match="json_schema: not JSON: maximum recursion depth"):
        sg.gen("a", json_schema=schema)
    with pytest.raises(ValueError, match="json_schema: nested too deeply"):
        sg.gen("a", json_schema='{"items":' * 100_000 + "{}" + "}" * 100_000)
    while schema:  # freed layer by layer: not by a recursion of 100,000
        schema = schema["items"]


def test_an_unknown_kind_of_tag_is_not_supported() -> None:
    with pytest.raises(sg.NotSupported, match=r"structural_tag: .*telepathy"):
        sg.gen("a", structural_tag={"format": {"type": "telepathy"}})


def test_healing_is_asked_for() -> None:
    assert only(sg.gen("a", token_healing=True)) == Gen(name="a", token_healing=True)
    with pytest.raises(ValueError, match="token_healing=1 "):
        sg.gen("a", token_healing=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="token_healing means nothing together with choices"):
        sg.gen("a", choices=["x"], token_healing=True)


def test_unknown_arguments_are_type_errors() -> None:
    with pytest.raises(TypeError, match="'max_token'"):
        sg.gen("a", max_token=3)  # type: ignore[call-arg]


def test_choices_keep_what_makes_sense_and_refuse_the_rest() -> None:
    node = only(sg.gen("a", choices=["x", "y"], temperature=0.5, seed=3, choices_method=sg.joint_likelihood))
    assert node == Select(name="a", choices=("x", "y"), method=sg.joint_likelihood, temperature=0.5, seed=3)
    for name, value in {"max_tokens": 3, "stop": "\n", "top_p": 0.5, "n": 2}.items():
        with pytest.raises(ValueError, match=name):
            sg.gen("a", choices=["x"], **{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("choices", [None, [], "ab", [""], [1], ["a", "a"]])
def test_bad_choices(choices: Any) -> None:
    with pytest.raises(ValueError, match="choices"):
        sg.select("a", choices)


def test_select_checks_temperature_and_method() -> None:
    with pytest.raises(ValueError, match="temperature"):
        sg.select("a", ["x"], temperature=math.inf)
    with pytest.raises(ValueError, match="choices_method"):
        sg.select("a", ["x"], choices_method="best")  # type: ignore[arg-type]


def test_shorthands_are_dtypes() -> None:
    assert only(sg.gen_int("a")) == only(sg.gen("a", dtype=int))
    assert only(sg.gen_float("a", 5)) == only(sg.gen("a", 5, dtype=float))
    assert only(sg.gen_bool("a")).constraint == Regex("(True|False)")
    assert only(sg.gen_string("a", temperature=0)) == only(sg.gen("a", dtype=str, temperature=0))


def test_a_model_class_is_a_json_schema() -> None:
    from pydantic import BaseModel

    class Item(BaseModel):
        price: float

    constraint = only(sg.gen("a", json_schema=Item)).constraint
    assert isinstance(constraint, JsonSchema)
    assert "price" in constraint.schema


def test_unset_sampling_comes_from_the_defaults_and_nothing_is_lost() -> None:
    own = Sampling.of({"max_tokens": 7, "stop": "x", "logit_bias": {3: 1.0}})
    merged = own.over(Sampling.of({"max_new_tokens": 9, "temperature": 0.0, "seed": 4, "return_logprob": True}))
    params = merged.params(Regex("a"))
    assert (params.max_new_tokens, params.temperature, params.seed) == (7, 0.0, 4)
    assert (params.stop, dict(params.logit_bias), params.constraint) == (("x",), {3: 1.0}, Regex("a"))
    assert merged.return_logprob is True
    assert Sampling().params(None).max_new_tokens == 128
    assert Sampling().params(None).temperature == 1.0


def test_samples_of_one_gen_have_seeds_of_their_own() -> None:
    sampling = Sampling.of({"n": 3, "seed": 10})
    assert [sampling.one(None, i).seed for i in range(3)] == [10, 11, 12]
    assert sampling.one(None, 2).n == 1


def test_only_text_and_expressions_can_be_appended(mock: sg.Mock) -> None:
    with pytest.raises(TypeError, match=r"str\(\)"):
        sg.user(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        sg.gen("a") + 3  # type: ignore[operator]


def test_a_pattern_that_does_not_parse_is_refused_where_it_is_written() -> None:
    with pytest.raises(ValueError, match=r"regex='\(': missing \)"):
        sg.gen("x", regex="(")


def test_a_misspelt_argument_is_told_from_one_that_does_not_exist() -> None:
    with pytest.raises(TypeError, match=r"'max_token'; did you mean 'max_tokens'\?"):
        sg.gen("a", max_token=3)
    with pytest.raises(TypeError, match=r"'zzz'; it takes choices, .*, type"):
        sg.gen("a", zzz=None)


def test_a_field_is_named_once() -> None:
    with pytest.raises(sg.InvalidArgument, match=r"^json_schema: not JSON"):
        sg.gen("a", json_schema='{"type": "object"')
    with pytest.raises(sg.InvalidArgument, match=r"stop=5 is not allowed: a string or a list"):
        sg.gen("a", stop=5)
