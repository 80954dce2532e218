from __future__ import annotations

import json
from dataclasses import fields
from typing import get_args

import pytest

from grammars.errors import InvalidSpec
from grammars.spec import (
    AnyOf,
    Choice,
    FreeText,
    Gbnf,
    JsonObject,
    JsonSchema,
    Lark,
    Regex,
    Repeat,
    Sequence,
    Spec,
    SpecialToken,
    Stop,
    StructuralTag,
    Suffix,
    Tag,
)
from runtime.errors import InvalidParameter
from runtime.sampling.params import SamplingParams
from runtime.wire.errors import ProtocolError
from runtime.wire.params import read_params, read_spec, write_params, write_spec

SPECS: list[Spec] = [
    Regex("a|é"),
    Choice(("a", "b")),
    JsonSchema('{"type": "integer"}', "compact", "any", "annotate", "empty"),
    JsonObject("flexible"),
    Lark('start: "a"'),
    Gbnf("main ::= [a-z]", "main"),
    FreeText(("x",)),
    SpecialToken("<|im_end|>"),
    Stop(("\n", "."), Regex("[a-z]+")),
    Suffix(Choice(("a",)), "b"),
    Sequence(("a", Repeat(Regex("b"), 1, 3), "c")),
    AnyOf((Regex("a"), Sequence(("b", FreeText())))),
    Repeat(Choice(("a",)), 2),
    StructuralTag((Tag("<a>", None, ("</a>",)), Tag("<b>", JsonObject(), ("",))), ("<",), True, True, ("x",)),
]


def test_there_is_one_of_every_kind() -> None:
    assert {type(spec) for spec in SPECS} == set(get_args(Spec))


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: type(spec).__name__)
def test_a_constraint_comes_back_exactly(spec: Spec) -> None:
    assert read_spec(json.loads(json.dumps(write_spec(spec)))) == spec


EVERYTHING = SamplingParams(
    max_new_tokens=None, min_new_tokens=3, temperature=0.1 + 0.2, top_k=5, top_p=1 / 3, min_p=0.01,
    frequency_penalty=-1.5, presence_penalty=2.0, repetition_penalty=1.1, logit_bias={3: -1e30, 4: 0.5},
    stop=("\n", "é"), stop_token_ids=(1, 2), stop_regex="[0-9]+", ignore_eos=True, n=2, seed=2**63,
    skip_special_tokens=False, constraint=SPECS[-1], constraint_after="</think>", token_healing=True,
    jump_forward=False, priority=7, timeout=2.5,
)  # fmt: skip


def test_parameters_come_back_exactly() -> None:
    default = SamplingParams()
    assert all(getattr(EVERYTHING, f.name) != getattr(default, f.name) for f in fields(default))
    assert read_params(json.loads(json.dumps(write_params(EVERYTHING)))) == EVERYTHING
    assert write_params(default) == {}
    assert read_params({}) == default


def test_what_is_wrong_with_them_is_said() -> None:
    with pytest.raises(ProtocolError, match="no field 'heat'"):
        read_params({"heat": 1})
    with pytest.raises(InvalidParameter, match="top_p=7"):
        read_params({"top_p": 7})
    with pytest.raises(ProtocolError, match="'Mine' is not one of Regex"):
        read_params({"constraint": {"type": "Mine"}})
    with pytest.raises(InvalidSpec, match="at least one option"):
        read_spec({"type": "Choice", "options": []})
