"""What is seen at a glance to have a value has one."""

from __future__ import annotations

from typing import Any

import pytest

from grammars.json.node import Nodes
from grammars.json.schema import SchemaGraph
from grammars.json.shapes import Shapes
from grammars.json.targets import Targets
from grammars.json.witness import Witness
from grammars.regular.language import Languages

SHOWN = [
    True,
    {"type": "integer", "minimum": 1},
    {"type": "string", "maxLength": 4},
    {"enum": ["a", 1]},
    {"type": "array", "items": {"type": "string"}},
    {"not": {"type": ["null", "string"]}},
    {"type": "object", "required": ["a"], "properties": {"a": {"type": "object", "required": ["b"]}}},
    {"allOf": [{"type": "object", "required": ["a"]}, {"type": "object", "properties": {"a": {"minimum": 5}}}]},
]
HIDDEN = [
    False,
    {"type": "string", "minLength": 1, "maxLength": 0},
    {"type": "number", "multipleOf": 1e-30, "minimum": 1, "maximum": 0},
    {"type": "array", "minItems": 1, "items": False},
    {"type": "object", "required": ["a"], "additionalProperties": False},
    {"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#"}}},
    {"type": "object", "required": ["a"], "patternProperties": {"^a": False}},
    {"type": "object", "required": ["a"], "properties": {"a": {"type": "null"}}, "maxProperties": 0},
    {"type": "object", "required": ["a"], "properties": {"a": {"type": "null"}}, "not": {"required": ["a"]}},
    {
        "type": "object",
        "required": ["a"],
        "allOf": [{"properties": {"a": {"type": "null"}}}, {"properties": {"a": {"type": "string"}}}],
    },
]


def read(schema: Any) -> tuple[Languages, Nodes, Any]:
    languages, nodes = Languages(), Nodes()
    return languages, nodes, SchemaGraph(schema, languages, nodes).root


@pytest.mark.parametrize("schema", SHOWN)
def test_common_schemas_show_a_value(schema: Any) -> None:
    _, nodes, root = read(schema)
    assert Witness(Targets(nodes)).shows(root)


@pytest.mark.parametrize("schema", HIDDEN)
def test_what_no_value_satisfies_shows_none(schema: Any) -> None:
    languages, nodes, root = read(schema)
    assert not Witness(Targets(nodes)).shows(root)
    assert Shapes(languages, nodes).is_empty(root)


def test_a_chain_of_requirements_is_given_up_on_and_searched() -> None:
    places = 3000
    schema: dict[str, Any] = {"$defs": {}, "$ref": "#/$defs/d0"}
    for at in range(places):
        schema["$defs"][f"d{at}"] = {
            "type": "object",
            "required": ["x"],
            "properties": {"x": {"$ref": f"#/$defs/d{at + 1}"} if at + 1 < places else {"type": "null"}},
        }
    languages, nodes, root = read(schema)
    assert not Witness(Targets(nodes)).shows(root)
    assert not Shapes(languages, nodes).is_empty(root)
