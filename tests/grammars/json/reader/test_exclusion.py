"""What excludes what; and that nothing is said to exclude what it does not."""

from __future__ import annotations

import pytest

from grammars.json.node import Any, Nodes
from grammars.json.reader.exclusion import Exclusion
from grammars.json.reader.logic import Logic
from grammars.json.schema import SchemaGraph
from grammars.regular.language import Languages


def overlap(*schemas: object, kinds: frozenset[str] | None = None) -> list[list[int]]:
    languages, nodes = Languages(), Nodes()
    graph = SchemaGraph({"anyOf": [*schemas, {"type": "null"}]}, languages, nodes)
    assert isinstance(graph.root, Any)
    # The builder's own table of texts is gone, so constants are made again here to be found.
    logic = Logic(nodes, languages, 100_000)
    made = graph.root.items[: len(schemas)]
    if kinds is None:
        return Exclusion(made, logic).overlaps()
    return Exclusion(made, logic, kinds).overlaps()  # type: ignore[arg-type]


def tagged(tag: object, **others: object) -> dict[str, object]:
    properties = {"kind": tag, **others}
    return {"type": "object", "properties": properties, "required": ["kind"]}


APART: list[tuple[object, object]] = [
    ({"type": "string"}, {"type": "integer"}),
    ({"type": "string", "const": "a"}, {"type": "string", "const": "b", "minLength": 1}),
    ({"type": "string", "pattern": "^a$"}, {"type": "string", "pattern": "^b$"}),
    ({"type": "string", "const": "a"}, {"type": "string", "pattern": "^b+$"}),
    ({"type": "number", "maximum": 1}, {"type": "integer", "exclusiveMinimum": 1}),
    (tagged({"const": "a"}), tagged({"const": "b"})),
    (tagged({"type": "string"}), tagged({"type": "integer"})),
    (tagged({"const": "a"}), {"type": "object", "properties": {"kind": {"const": "b"}}}),
    (tagged(True), {"type": "object", "properties": {"x": True}, "additionalProperties": False}),
    (tagged(True), {"type": "object", "not": {"required": ["kind"]}}),
    (tagged(tagged({"const": 1})), tagged(tagged({"const": 2}))),
    ({"anyOf": [{"type": "string"}, {"type": "boolean"}]}, {"enum": [1, None, []]}),
]
TOGETHER: list[tuple[object, object]] = [
    ({"type": "string"}, {"minLength": 1}),
    ({"type": "number"}, {"type": "integer"}),
    ({"type": "string", "enum": ["a", "b"]}, {"type": "string", "enum": ["b", "c"]}),
    ({"type": "string", "pattern": "^a?$"}, {"type": "string", "pattern": "^$"}),
    ({"type": "number", "maximum": 1}, {"type": "number", "minimum": 1}),
    (tagged({"enum": ["a", "b"]}), tagged({"enum": ["b", "c"]})),
    ({"properties": {"kind": {"const": "a"}}}, {"properties": {"kind": {"const": "b"}}}),
    ({"type": "object", "required": ["a"]}, {"type": "object", "required": ["b"]}),
    (tagged(True), {"type": "object", "properties": {"kind": True}, "additionalProperties": False}),
    (tagged(True), {"type": "object", "patternProperties": {"^k": True}, "additionalProperties": False}),
]


@pytest.mark.parametrize(("one", "other"), APART)
def test_apart(one: object, other: object) -> None:
    assert overlap(one, other) == [[], []]
    assert overlap(other, one) == [[], []]


@pytest.mark.parametrize(("one", "other"), TOGETHER)
def test_together(one: object, other: object) -> None:
    assert overlap(one, other) == [[1], [0]]
    assert overlap(other, one) == [[1], [0]]


def test_only_the_kinds_that_matter() -> None:
    one = {"required": ["a"], "additionalProperties": False, "properties": {"a": True}}
    other = {"required": ["b"]}
    assert overlap(one, other) == [[1], [0]]
    assert overlap(one, other, kinds=frozenset(("object",))) == [[], []]


def test_three_of_which_two_overlap() -> None:
    assert overlap({"type": "string"}, {"type": "integer"}, {"type": "string", "maxLength": 3}) == [[2], [], [0]]


def test_branches_that_exclude_each_other_need_no_negations() -> None:
    branches = [tagged({"enum": ["a", "b"]}), tagged({"enum": ["c", "d"]}), {"type": "string"}]
    languages, nodes = Languages(), Nodes()
    exclusive = SchemaGraph({"oneOf": branches}, languages, nodes).root
    assert exclusive is SchemaGraph({"anyOf": branches}, languages, nodes).root
    branches[1] = tagged({"enum": ["b", "c"]})
    assert (
        SchemaGraph({"oneOf": branches}, languages, nodes).root
        is not SchemaGraph({"anyOf": branches}, languages, nodes).root
    )
