"""What may come next in objects and arrays, case by case, from schemas."""

from __future__ import annotations

import random
from typing import Any

import pytest

from grammars.errors import GrammarLimit
from grammars.json.forms import ShapeLimits
from grammars.json.node import Node, Nodes
from grammars.json.schema import SchemaGraph
from grammars.json.shapes import Shapes
from grammars.regular.language import Languages


def graph(schema: Any, key_order: Any = "any", limits: ShapeLimits | None = None) -> tuple[Shapes, Node]:
    languages, nodes = Languages(), Nodes()
    root = SchemaGraph(schema, languages, nodes, formats="assert", registry=None).root
    return Shapes(languages, nodes, key_order, limits), root


def obj(properties: dict[str, Any], *required: str, **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), **more}


A, B = {"const": "a"}, {"const": "b"}
TREE = {"$ref": "#/$defs/t", "$defs": {"t": obj({"l": {"$ref": "#/$defs/t"}, "r": {"$ref": "#/$defs/t"}}, "l")}}
PAIRS = {"type": "array", "items": {"enum": [[1], [1, 2], {"k": 1}]}, "uniqueItems": True}


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"required": ["a"], "type": "object"}, [{"a": 1}, {"b": 1, "a": 2}], [{}, {"b": 1}]),
        (
            obj({"a": {}, "b": {}}, "b", additionalProperties=False),
            [{"b": 1, "a": 1}, {"b": 2}],
            [{"a": 1}, {"b": 1, "c": 1}],
        ),
        (
            {"allOf": [obj({"a": {"type": "string"}}, "a"), obj({"b": {}}, "b")]},
            [{"b": 1, "a": ""}],
            [{"a": ""}, {"a": 1, "b": 1}],
        ),
        (
            {"type": "object", "minProperties": 2, "maxProperties": 3},
            [{"a": 1, "b": 2}],
            [{"a": 1}, dict.fromkeys("abcd")],
        ),
        (
            {"type": "object", "patternProperties": {"^a": {"type": "string"}, "z$": {"minLength": 2}}},
            [{"az": "xx", "b": 1, "z": 1}],
            [{"az": "x"}, {"a": 1}],
        ),
        ({"type": "object", "propertyNames": {"enum": ["a", "b"]}, "minProperties": 2}, [{"a": 1, "b": 1}], [{"a": 1}]),
        (
            {"dependentRequired": {"a": ["b", "c"]}, "type": "object"},
            [{"b": 1}, {"c": 1, "b": 1, "a": 1}],
            [{"a": 1, "b": 1}],
        ),
        (
            {"if": obj({"k": A}, "k"), "then": {"required": ["x"]}, "else": {"required": ["y"]}, "type": "object"},
            [{"k": "a", "x": 1}, {"y": 1}, {"k": "b", "y": 1}],
            [{"k": "a", "y": 1}, {"k": "b", "x": 1}],
        ),
        (
            {"oneOf": [obj({"a": {"type": "string"}}), obj({"b": {"type": "string"}})]},
            [{"a": 1}, {"a": "", "b": 1}],
            [{}, {"a": "", "b": ""}],
        ),
        (
            {"type": "object", "not": {"additionalProperties": {"type": "string"}}},
            [{"x": 1}, {"x": "", "y": 1}],
            [{}, {"x": ""}],
        ),
        (
            {"type": "array", "contains": A, "minContains": 2, "maxContains": 2},
            [["a", "a"], ["a", 1, "a"]],
            [["a"], ["a"] * 3],
        ),
        ({"type": "array", "prefixItems": [A, B], "items": False}, [[], ["a"], ["a", "b"]], [["b"], ["a", "b", 1]]),
        (
            {"type": "array", "uniqueItems": True},
            [[1, True, "1"], [[1], [2]]],
            [[1, 1.0], [{"a": [1]}, {"a": [1]}], ["", 2, ""]],
        ),
        ({"type": "array", "not": {"uniqueItems": True}}, [[1, 2, 1]], [[], [1, 2], [1, True]]),
        (PAIRS, [[[1], [1, 2], {"k": 1}]], [[[1], [1]], [{"k": 1}, {"k": 1.0}]]),
        (TREE | {"$defs": {"t": obj({"l": {"$ref": "#/$defs/t"}})}}, [{"l": {"l": {}}}], [{"l": {"l": 1}}]),
    ],
)
def test_values_are_told_apart(follower: Any, schema: Any, good: list[Any], bad: list[Any]) -> None:
    shapes, root = graph(schema)
    follow = follower(shapes)
    for value in good:
        assert follow.accepts(root, value), value
    for value in bad:
        assert not follow.accepts(root, value), value
    for seed in range(5):
        assert follow.accepts(root, follow.walk(root, random.Random(seed)))


@pytest.mark.parametrize(
    "schema",
    [
        obj({"a": {"$ref": "#"}}, "a"),
        TREE,
        obj({"a": A}, "a", patternProperties={"^a": B}),
        obj({"a": False}, "a"),
        {"type": "object", "propertyNames": {"enum": ["a", "b"]}, "minProperties": 3},
        {
            "type": "object",
            "propertyNames": {"pattern": "^(a|b)$"},
            "additionalProperties": False,
            "properties": {"a": {}},
            "minProperties": 2,
        },
        {"type": "array", "items": False, "minItems": 1},
        {"type": "array", "items": {"$ref": "#"}, "minItems": 1},
        {"type": "array", "items": {"enum": [1, 1.0, 2]}, "uniqueItems": True, "minItems": 3},
        {"type": "array", "prefixItems": [A, {"enum": ["a", "b"]}, B], "uniqueItems": True, "minItems": 3},
        {"type": "array", "prefixItems": [A, B], "items": False, "not": {"uniqueItems": True}},
        {"type": "array", "contains": A, "items": B, "minItems": 1},
        {"type": "array", "allOf": [{"contains": A}, {"contains": B}], "maxItems": 1},
        {"type": "string", "pattern": "^ab*$", "minLength": 3, "maxLength": 5, "not": {"pattern": "b"}},
        {"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 2},
    ],
)
def test_what_no_finite_value_satisfies_is_empty(schema: Any) -> None:
    shapes, root = graph(schema)
    assert shapes.is_empty(root)
    forms = shapes.forms(root)
    assert [forms.objects, forms.arrays, forms.string, forms.number, forms.null] == [(), (), None, None, False]


def test_mutual_recursion_is_empty_only_where_nothing_ends_it() -> None:
    defs = {
        "a": obj({"x": {"$ref": "#/$defs/b"}}, "x"),
        "b": {"anyOf": [obj({"y": {"$ref": "#/$defs/a"}}, "y"), {"$ref": "#/$defs/c"}]},
        "c": obj({"z": {"$ref": "#/$defs/b"}}, "z"),
    }
    shapes, root = graph({"$ref": "#/$defs/a", "$defs": defs})
    assert shapes.is_empty(root)
    defs["c"]["properties"]["z"] = {
        "type": ["object", "null"],
        "required": ["y"],
        "properties": {"y": {"$ref": "#/$defs/a"}},
    }
    shapes, root = graph({"$ref": "#/$defs/a", "$defs": defs})
    assert not shapes.is_empty(root)


def test_a_matching_choice_is_kept_possible() -> None:
    schema = {"type": "array", "prefixItems": [{"enum": ["a", "b"]}, A], "minItems": 2, "uniqueItems": True}
    shapes, root = graph(schema)
    ((_, first),) = shapes.forms(root).arrays[0].next()
    form = shapes.forms(first).string
    assert form is not None
    assert [form.language.contains(text) for text in ("a", "b")] == [False, True]


def test_states_stay_few() -> None:
    names = [f"p{at}" for at in range(12)]
    shapes, root = graph(obj({name: {"type": "string"} for name in names}, *names, additionalProperties=False))
    (here,) = shapes.forms(root).objects
    first, second = here.next(0)[0][0].next(1)[0][0], here.next(1)[0][0].next(0)[0][0]
    assert first is second
    shapes, root = graph({"type": "object"})
    (here,) = shapes.forms(root).objects
    assert here.next(0)[0][0] is here
    shapes, root = graph({"type": "array", "minItems": 1})
    after = shapes.forms(root).arrays[0].next()[0][0]
    assert after.next()[0][0] is after
    assert after.can_close


def test_a_declared_name_comes_once() -> None:
    shapes, root = graph(obj({"a": {}}))
    (here,) = shapes.forms(root).objects
    ((after, _),) = here.next(0)
    assert here.allows(0)
    assert not after.allows(0)
    assert after.next(0) == ()


def test_schema_order() -> None:
    shapes, root = graph(obj({"a": {}, "b": {}, "c": {}}, "b"), "schema")
    (here,) = shapes.forms(root).objects
    assert here.keys.names == ("a", "b", "c")
    assert [here.allows(label) for label in range(4)] == [True, True, False, False]
    ((after, _),) = here.next(1)
    assert [after.allows(label) for label in range(4)] == [False, False, True, True]
    ((other, _),) = after.next(3)
    assert [other.allows(label) for label in range(4)] == [False, False, False, True]
    assert other.can_close


def test_undeclared_names_are_kept_apart_where_they_are_counted() -> None:
    shapes, root = graph({"type": "object", "minProperties": 2})
    (here,) = shapes.forms(root).objects
    ((pending, _),) = here.next(0)
    assert pending.captures
    (after,) = pending.with_name("x")
    assert not after.keys.classes[0].contains("x")
    assert after.keys.classes[0].contains("y")
    ((last, _),) = after.next(0)
    assert last.can_close


def test_an_overlapping_pattern_makes_only_classes_that_have_names() -> None:
    patterns = {f"^[{chr(97 + at)}-z]$": {"minLength": at} for at in range(20)}
    shapes, root = graph({"type": "object", "patternProperties": patterns, "additionalProperties": False})
    (here,) = shapes.forms(root).objects
    assert len(here.keys.classes) == 20
    shapes, root = graph(
        {"type": "object", "patternProperties": {f"{chr(97 + at)}": {"minLength": at} for at in range(20)}}
    )
    with pytest.raises(GrammarLimit, match="patternProperties: the patterns of one object make more than 256 classes"):
        shapes.forms(root)


def test_many_branches_that_only_a_value_tells_apart() -> None:
    branches = [
        obj({"type": {"type": "string", "pattern": f"^T{at}$"}, f"x{at}": {}}, "type", f"x{at}") for at in range(30)
    ]
    shapes, root = graph({"oneOf": branches})
    forms = shapes.forms(root)
    assert len(forms.objects) == 30
    assert not any(state.residual.clauses for state in forms.objects)


def test_limits_end_in_an_error() -> None:
    choices = {f"p{at}": {"type": "string"} for at in range(14)}
    schema = {
        "type": "object",
        "allOf": [
            {"anyOf": [obj({name: held, "q": {}}, name), obj({f"z{name}": held}, f"z{name}")]}
            for name, held in choices.items()
        ],
    }
    shapes, root = graph(schema, limits=ShapeLimits(alternatives=100))
    with pytest.raises(GrammarLimit, match="more than 100"):
        shapes.forms(root)
    shapes, root = graph({"type": "array", "uniqueItems": True, "minItems": 600})
    with pytest.raises(GrammarLimit, match="uniqueItems: 600 items are required, at most 512"):
        shapes.forms(root)


def test_huge_counts_cost_nothing() -> None:
    shapes, root = graph(
        {"type": ["array", "string", "object"], "minItems": 10**9, "minLength": 10**9, "maxProperties": 10**9}
    )
    forms = shapes.forms(root)
    assert forms.string is not None
    assert (forms.string.low, forms.string.high) == (10**9, None)
    assert forms.arrays[0].can_continue()
    assert not forms.arrays[0].can_close


def test_deep_requirements_need_no_deep_stack() -> None:
    defs = {f"d{at}": obj({"x": {"$ref": f"#/$defs/d{at + 1}"}}, "x") for at in range(2000)}
    shapes, root = graph({"$ref": "#/$defs/d0", "$defs": defs | {"d2000": {"type": "null"}}})
    assert not shapes.is_empty(root)
    shapes, root = graph({"$ref": "#/$defs/d0", "$defs": defs | {"d2000": False}})
    assert shapes.is_empty(root)
