import json
from collections.abc import Callable
from typing import Any

import pytest

from grammars.errors import GrammarLimit, InvalidSpec, UnsupportedConstraint
from grammars.spec import (
    FreeText,
    Gbnf,
    JsonSchema,
    Regex,
    Spec,
    SpecialToken,
    StructuralTag,
    Tag,
)

Accepts = Callable[[Spec], Callable[[str], bool]]
TAG = {"type": "tag", "begin": "<a>", "content": {"type": "regex", "pattern": "x+"}, "end": "</a>"}
OTHER = {"type": "tag", "begin": "<b>", "content": {"type": "any_text"}, "end": ["</b>", "."]}


def read(shape: dict[str, Any]) -> Spec:
    return StructuralTag.of({"type": "structural_tag", "format": shape})


def test_structures():
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    shape = {
        "type": "structural_tag",
        "structures": [{"begin": "<function=weather>", "schema": schema, "end": "</function>"}],
        "triggers": ["<function="],
    }
    wanted = StructuralTag((Tag("<function=weather>", JsonSchema.of(schema), ("</function>",)),), ("<function=",))
    assert StructuralTag.of(shape) == wanted
    assert StructuralTag.of(json.dumps(shape)) == wanted


def test_triggered_tags():
    shape = {"type": "triggered_tags", "triggers": ["<"], "tags": [TAG, OTHER], "at_least_one": True}
    shape |= {"stop_after_first": True, "excludes": ["no"]}
    tags = (Tag("<a>", Regex("x+"), ("</a>",)), Tag("<b>", None, ("</b>", ".")))
    assert read(shape) == StructuralTag(tags, ("<",), True, True, ("no",))


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        ({"type": "any_text", "excludes": ["a"]}, FreeText(("a",))),
        ({"type": "regex", "pattern": "a"}, Regex("a")),
        ({"type": "grammar", "grammar": "root ::= [a]"}, Gbnf("root ::= [a]")),
        ({"type": "token", "token": "<|a|>"}, SpecialToken("<|a|>")),
        ({"type": "json_schema", "json_schema": True}, JsonSchema("true")),
        ({"type": "json_schema", "json_schema": {}, "any_order": True}, JsonSchema("{}", key_order="any")),
    ],
)
def test_formats_that_are_specs(shape: dict[str, Any], wanted: Spec):
    assert read(shape) == wanted


CONST = {"type": "const_string", "value": "ab"}


@pytest.mark.parametrize(
    ("shape", "right", "wrong"),
    [
        (CONST, ["ab"], ["a", ""]),
        ({"type": "sequence", "elements": [CONST, TAG]}, ["ab<a>x</a>"], ["ab", "<a>x</a>"]),
        ({"type": "or", "elements": [CONST, TAG]}, ["ab", "<a>xx</a>"], ["", "abab"]),
        ({"type": "optional", "content": CONST}, ["", "ab"], ["abab"]),
        ({"type": "star", "content": CONST}, ["", "ab", "ababab"], ["a"]),
        ({"type": "plus", "content": CONST}, ["ab", "abab"], [""]),
        ({"type": "repeat", "min": 1, "max": 2, "content": CONST}, ["ab", "abab"], ["", "ababab"]),
        ({"type": "repeat", "min": 2, "max": -1, "content": CONST}, ["abab", "ababab"], ["ab"]),
        (OTHER, ["<b>free</b>", "<b>."], ["<b>", "<b>a.b.", "x<b>."]),
        (
            {"type": "tags_with_separator", "tags": [TAG, OTHER], "separator": ","},
            ["", "<a>x</a>", "<a>x</a>,<b>.,<a>x</a>"],
            [",", "<a>x</a>,", "<a>x</a><b>."],
        ),
        (
            {"type": "tags_with_separator", "tags": [TAG], "separator": "", "at_least_one": True},
            ["<a>x</a>", "<a>x</a><a>x</a>"],
            [""],
        ),
        (
            {"type": "tags_with_separator", "tags": [TAG], "separator": ",", "stop_after_first": True},
            ["", "<a>x</a>"],
            ["<a>x</a>,<a>x</a>"],
        ),
    ],
)
def test_formats_by_their_texts(shape: dict[str, Any], right: list[str], wrong: list[str], accepts: Accepts):
    accepted = accepts(read(shape))
    assert [text for text in right if not accepted(text)] == []
    assert [text for text in wrong if accepted(text)] == []


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ("[", "not JSON"),
        ("[]", r"/: \[\] is not an object"),
        (
            {"structures": [{"begin": "<", "schema": {}}], "triggers": ["<"]},
            "/structures/0/end: None is not of type str",
        ),
        ({"structures": [{"begin": "<", "schema": 3, "end": ">"}], "triggers": ["<"]}, "3 is no JSON schema"),
        ({"structures": [], "triggers": ["<"]}, "tags"),
        ({"structures": [{"begin": "<", "schema": {}, "end": ">"}], "triggers": [3]}, "/triggers: 3 is not a string"),
        ({"structures": [{"begin": "a", "schema": {}, "end": ">"}], "triggers": ["<"]}, "none of the triggers"),
        ({"format": {"type": "sequence", "elements": [{}]}}, "/format/elements/0/type: None is not of type str"),
        (
            {"format": {"type": "repeat", "min": True, "max": 2, "content": CONST}},
            "/format/min: True is not of type int",
        ),
    ],
)
def test_wrong_shapes_are_refused(shape: str | dict[str, Any], message: str):
    with pytest.raises(InvalidSpec, match=message):
        StructuralTag.of(shape)


@pytest.mark.parametrize(
    ("shape", "construct"),
    [
        ({"type": "dispatch"}, "format dispatch at /format"),
        ({"type": "token", "token": 3}, "token at /format"),
        ({"type": "any_text", "max_tokens": 3}, "max_tokens"),
        ({"type": "json_schema", "json_schema": {}, "style": "qwen_xml"}, "style"),
    ],
)
def test_unknown_formats_are_refused(shape: dict[str, Any], construct: str):
    with pytest.raises(UnsupportedConstraint, match=construct):
        read(shape)


def test_deep_shapes_end_in_a_limit():
    shape: dict[str, Any] = CONST
    for _ in range(20_000):
        shape = {"type": "optional", "content": shape}
    with pytest.raises(GrammarLimit, match="nested too deeply"):
        read(shape)
