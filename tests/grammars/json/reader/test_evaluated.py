"""`unevaluatedProperties` and `unevaluatedItems`, where what counts depends on the value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain, combinations, product

import pytest
from jsonschema import Draft202012Validator

from grammars.errors import UnsupportedConstraint
from grammars.json.node import Node

Satisfies = Callable[[Node, object], bool]
BothSigns = Callable[..., tuple[Node, Node]]

NAMES = ("a", "b", "ab", "c")
OBJECTS = [
    dict(zip(names, items, strict=True))
    for names in chain.from_iterable(combinations(NAMES, size) for size in range(4))
    for items in product((1, "x"), repeat=len(names))
]
ARRAYS = [list(items) for size in range(4) for items in product((1, "x", None), repeat=size)]


def has(name: str, *properties: str) -> dict[str, object]:
    return {"required": [name], "properties": dict.fromkeys((name, *properties), True)}


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": True}, "anyOf": [has("b"), has("c"), True]},
        {"oneOf": [has("a", "b"), has("c")]},
        {"if": has("a"), "then": {"properties": {"b": True}}, "else": {"properties": {"c": True}}},
        {
            "anyOf": [
                {"required": ["a"], "patternProperties": {"^a": True}},
                {"patternProperties": {"b$": {"type": "integer"}}},
            ]
        },
        {"dependentSchemas": {"a": {"properties": {"a": True, "b": True}}}},
        {"anyOf": [{"required": ["a"], "additionalProperties": {"type": "integer"}}, {"properties": {"c": True}}]},
        {"$ref": "#/$defs/x", "$defs": {"x": {"anyOf": [has("a"), has("b")]}}},
        {"anyOf": [{"anyOf": [has("a"), has("b")], **has("c")}, has("ab")]},
        {"not": has("a")},
        {"allOf": [{"properties": {"a": True}, "unevaluatedProperties": {"type": "integer"}}]},
    ],
)
@pytest.mark.parametrize("rest", [False, {"type": "integer"}])
def test_properties(satisfies: Satisfies, both_signs: BothSigns, schema: dict[str, object], rest: object) -> None:
    schema = {**schema, "unevaluatedProperties": rest}
    check(satisfies, both_signs(schema), schema, OBJECTS)


@pytest.mark.parametrize(
    "schema",
    [
        {"prefixItems": [True], "anyOf": [{"prefixItems": [True, {"type": "integer"}]}, True]},
        {"anyOf": [{"items": {"type": "integer"}}, {"prefixItems": [True]}]},
        {"contains": {"type": "integer"}},
        {"contains": {"type": "integer"}, "minContains": 0, "prefixItems": [True]},
        {"anyOf": [{"contains": {"type": "integer"}, "minItems": 2}, {"contains": {"type": "null"}}]},
        {"if": {"prefixItems": [{"type": "string"}]}, "then": {"prefixItems": [True, True]}, "else": {"maxItems": 1}},
        {"allOf": [{"prefixItems": [True], "unevaluatedItems": {"type": "string"}}]},
    ],
)
@pytest.mark.parametrize("rest", [False, {"type": "integer"}])
def test_items(satisfies: Satisfies, both_signs: BothSigns, schema: dict[str, object], rest: object) -> None:
    schema = {**schema, "unevaluatedItems": rest}
    check(satisfies, both_signs(schema), schema, ARRAYS)


def check(satisfies: Satisfies, nodes: tuple[Node, Node], schema: dict[str, object], values: Sequence[object]) -> None:
    validator = Draft202012Validator(schema)
    verdicts = [validator.is_valid(value) for value in values]
    assert len(set(verdicts)) == 2
    assert [satisfies(nodes[0], value) for value in values] == verdicts
    assert [not satisfies(nodes[1], value) for value in values] == verdicts


def test_too_many_ways_are_refused(both_signs: BothSigns) -> None:
    branches = [{"contains": {"const": n}} for n in range(7)]
    with pytest.raises(UnsupportedConstraint, match="unevaluatedItems at /: more than 6"):
        both_signs({"anyOf": branches, "unevaluatedItems": False})
    patterned = [{"required": [str(n)], "patternProperties": {str(n): True}} for n in range(9)]
    with pytest.raises(UnsupportedConstraint, match="unevaluatedProperties at /: more than 8"):
        both_signs({"anyOf": patterned, "unevaluatedProperties": False})
