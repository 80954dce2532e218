"""Random schemas, and random values judged by `jsonschema` and by the graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from grammars.errors import InvalidSpec, UnsupportedConstraint
from grammars.json.node import TRUE, Node, Ref

Satisfies = Callable[[Node, object], bool]
BothSigns = Callable[..., tuple[Node, Node]]

NAMES = ("a", "b", "ab", "c")
DEEPEST = 3

names = st.sampled_from(NAMES)
scalars = st.sampled_from([None, True, False, 0, 1, 2, 3, 1.0, 1.5, -2, "", "a", "b", "ab", "abc"])
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
counts = st.integers(0, 3)
numbers = st.sampled_from([-1, 0, 1, 1.5, 2, 3])
patterns = st.sampled_from(["^a", "b$", "^[ab]+$", "c|^$", "."])
types = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])
name_lists = st.lists(names, max_size=2, unique=True)


@st.composite
def schemas(draw: st.DrawFn, depth: int = 0) -> Any:
    """Any schema of few keywords; with references to `x` and `y` below `$defs`."""
    if depth > DEEPEST:
        return draw(st.booleans())
    chosen = draw(st.lists(st.sampled_from(sorted(SIMPLE) + sorted(NESTED)), min_size=1, max_size=4, unique=True))
    return {name: draw(SIMPLE[name] if name in SIMPLE else NESTED[name](schemas(depth + 1))) for name in chosen}


SIMPLE: Mapping[str, st.SearchStrategy[object]] = {
    "type": types | st.lists(types, min_size=1, max_size=3, unique=True),
    "const": values,
    "enum": st.lists(values, min_size=1, max_size=3),
    "minimum": numbers,
    "maximum": numbers,
    "exclusiveMinimum": numbers,
    "exclusiveMaximum": numbers,
    "multipleOf": st.sampled_from([1, 2, 0.5]),
    "minLength": counts,
    "maxLength": counts,
    "pattern": patterns,
    "required": name_lists,
    "minProperties": counts,
    "maxProperties": counts,
    "dependentRequired": st.dictionaries(names, name_lists, max_size=1),
    "uniqueItems": st.booleans(),
    "minItems": counts,
    "maxItems": counts,
    "minContains": counts,
    "maxContains": counts,
    "$ref": st.sampled_from(["#/$defs/x", "#/$defs/y"]),
}
NESTED: Mapping[str, Callable[[st.SearchStrategy[object]], st.SearchStrategy[object]]] = {
    **dict.fromkeys(("properties", "dependentSchemas"), lambda inner: st.dictionaries(names, inner, max_size=2)),
    **dict.fromkeys(("additionalProperties", "propertyNames", "unevaluatedProperties"), lambda inner: inner),
    **dict.fromkeys(("items", "contains", "unevaluatedItems", "not", "if", "then", "else"), lambda inner: inner),
    **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), lambda inner: st.lists(inner, min_size=1, max_size=3)),
    "patternProperties": lambda inner: st.dictionaries(patterns, inner, max_size=2),
}


def verdict(schema: object, value: object) -> bool | None:
    """What `jsonschema` says; None where it runs in circles."""
    try:
        return Draft202012Validator(schema).is_valid(value)  # type: ignore[arg-type]
    except RecursionError:
        return None


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(schemas(), schemas(1), st.lists(values, min_size=3, max_size=8))
def test_both_signs_agree_with_a_validator(
    satisfies: Satisfies, both_signs: BothSigns, schema: Any, shared: Any, samples: list[object]
) -> None:
    # `x` may refer to `y` and not the other way round, so that no reference leads back to itself.
    plain = {"type": ["object", "string"], "properties": {"a": {"type": "integer"}}, "minProperties": 1}
    shared = _without_references(shared)
    document = {"allOf": [schema], "$defs": {"x": shared, "y": plain}}
    try:
        node, opposite = both_signs(document)
    except UnsupportedConstraint:
        assume(False)
    for value in samples:
        expected = verdict(document, value)
        if expected is not None:
            assert satisfies(node, value) is expected
            assert satisfies(opposite, value) is not expected


def _without_references(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {name: _without_references(value) for name, value in schema.items() if name != "$ref"}
    return [_without_references(item) for item in schema] if isinstance(schema, list) else schema


TREE = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
    "additionalProperties": False,
    "required": ["a"],
}


def test_recursion_through_a_property(satisfies: Satisfies, both_signs: BothSigns) -> None:
    node, opposite = both_signs(TREE)
    for value, expected in (
        ({"a": 1}, True),
        ({"a": 1, "b": {"a": 2, "b": None}}, True),
        ({"a": 1, "b": {"a": 2, "b": {}}}, False),
        ({"a": 1, "b": {"a": 2, "b": {"a": 1.5}}}, False),
    ):
        assert satisfies(node, value) is expected
        assert satisfies(opposite, value) is not expected


def test_a_reference_alone_below_a_property_stays_a_reference(both_signs: BothSigns) -> None:
    node, _ = both_signs({"properties": {"a": {"$ref": "#/$defs/x", "title": "A"}}, "$defs": {"x": {"type": "null"}}})
    child = node.node  # type: ignore[union-attr]
    assert isinstance(child, Ref)
    assert child.place == "/$defs/x"
    assert child.resolve() is child.resolve()


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
        {"allOf": [{"$ref": "#"}]},
        {"not": {"$ref": "#"}},
        {"anyOf": [{"not": {"$ref": "#"}}, {"type": "string"}]},
        {"oneOf": [{"$ref": "#"}, {"type": "string"}]},
        {"properties": {"a": {"$ref": "#/properties/b"}, "b": {"allOf": [{"$ref": "#/properties/b"}]}}},
        {"propertyNames": {"$ref": "#/propertyNames"}},
        {"dependentSchemas": {"a": {"$ref": "#"}}},
    ],
)
def test_a_reference_back_to_itself_is_refused(both_signs: BothSigns, schema: object) -> None:
    with pytest.raises(InvalidSpec, match=r"\$ref at .*leads back to itself"):
        both_signs(schema)


def test_an_alternative_that_leads_back_to_itself_says_nothing(satisfies: Satisfies, both_signs: BothSigns) -> None:
    schema = {
        "$ref": "#/$defs/a",
        "properties": {"b": {"$ref": "#/$defs/b"}},
        "$defs": {
            "a": {"anyOf": [{"$ref": "#/$defs/b"}, {"type": "object"}]},
            "b": {"anyOf": [{"$ref": "#/$defs/a"}, {"type": "integer"}]},
        },
    }
    node, opposite = both_signs(schema)
    for value, expected in (
        ({}, True),
        (1, True),
        ("", False),
        ({"b": 1}, True),
        ({"b": {}}, True),
        ({"b": ""}, False),
    ):
        assert satisfies(node, value) is expected
        assert satisfies(opposite, value) is not expected


def test_property_names_of_a_schema_for_itself(satisfies: Satisfies, both_signs: BothSigns) -> None:
    node, opposite = both_signs({"propertyNames": {"$ref": "#"}, "maxLength": 2})
    for value, expected in (({"ab": 1}, True), ({"abc": 1}, False), ("abc", False)):
        assert satisfies(node, value) is expected
        assert satisfies(opposite, value) is not expected


def test_shared_definitions_are_not_unfolded(both_signs: BothSigns) -> None:
    definitions: dict[str, object] = {"d40": {"type": "integer"}}
    for level in range(40):
        below = {"$ref": f"#/$defs/d{level + 1}"}
        definitions[f"d{level}"] = {"anyOf": [{"properties": {"a": below, "b": below}}, {"allOf": [below, below]}]}
    node, _ = both_signs({"$ref": "#/$defs/d0", "$defs": definitions})
    assert node is not TRUE


def test_anchors_and_dynamic_references(satisfies: Satisfies, both_signs: BothSigns) -> None:
    schema = {
        "$id": "https://example.org/numbers",
        "$ref": "list",
        "$defs": {
            "item": {"$dynamicAnchor": "item", "type": "number"},
            "list": {
                "$id": "list",
                "items": {"$dynamicRef": "#item"},
                "contains": {"$ref": "#named"},
                "$defs": {"any": {"$dynamicAnchor": "item"}, "named": {"$anchor": "named", "minimum": 3}},
            },
        },
    }
    node, opposite = both_signs(schema)
    for value in ([3], [4, 1], [1], ["a"], [3, "a"]):
        expected = verdict(schema, value)
        assert satisfies(node, value) is expected
        assert satisfies(opposite, value) is not expected


def test_recursive_reference_of_2019(satisfies: Satisfies, both_signs: BothSigns) -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2019-09/schema",
        "$id": "https://example.org/strict",
        "$recursiveAnchor": True,
        "$ref": "tree",
        "required": ["a"],
        "$defs": {
            "tree": {
                "$id": "tree",
                "$recursiveAnchor": True,
                "type": "object",
                "properties": {"b": {"$recursiveRef": "#"}},
            }
        },
    }
    node, opposite = both_signs(schema)
    for value, expected in (({"a": 1, "b": {"a": 1}}, True), ({"a": 1, "b": {}}, False)):
        assert satisfies(node, value) is expected
        assert satisfies(opposite, value) is not expected


def test_other_documents_come_from_the_registry_alone(satisfies: Satisfies, both_signs: BothSigns) -> None:
    schema = {"items": {"$ref": "https://example.org/pair#/$defs/left"}}
    pair = {"$defs": {"left": {"$ref": "#/$defs/right"}, "right": {"type": "null"}}}
    with pytest.raises(UnsupportedConstraint, match=r"\$ref at /items: .*registry"):
        both_signs(schema)
    node, _ = both_signs(schema, registry={"https://example.org/pair": pair})
    assert satisfies(node, [None])
    assert not satisfies(node, [1])
