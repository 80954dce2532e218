"""Random schemas, and random values judged by `jsonschema` and by the graph."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from grammars.json.node import Node

NAMES = ("a", "b", "ab", "c")
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


def keywords(inner: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    lists = st.lists(inner, min_size=1, max_size=3)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": types | st.lists(types, min_size=1, max_size=3, unique=True),
            "const": values,
            "enum": st.lists(values, min_size=1, max_size=3),
            "minimum": numbers,
            "exclusiveMaximum": numbers,
            "multipleOf": st.sampled_from([1, 2, 0.5]),
            "minLength": counts,
            "maxLength": counts,
            "pattern": patterns,
            "properties": st.dictionaries(names, inner, max_size=2),
            "patternProperties": st.dictionaries(patterns, inner, max_size=1),
            "additionalProperties": inner,
            "propertyNames": inner,
            "required": st.lists(names, max_size=2, unique=True),
            "minProperties": counts,
            "maxProperties": counts,
            "dependentRequired": st.dictionaries(names, st.lists(names, max_size=2, unique=True), max_size=1),
            "dependentSchemas": st.dictionaries(names, inner, max_size=1),
            "prefixItems": lists,
            "items": inner,
            "contains": inner,
            "minContains": counts,
            "maxContains": counts,
            "uniqueItems": st.booleans(),
            "minItems": counts,
            "maxItems": counts,
            "allOf": lists,
            "anyOf": lists,
            "oneOf": lists,
            "not": inner,
            "if": inner,
            "then": inner,
            "else": inner,
        },
    )


LARGEST = 3


@st.composite
def small(draw: st.DrawFn, inner: st.SearchStrategy[object], extra: bool = False) -> dict[str, object]:
    """A schema of few keywords out of all of them."""
    schema = draw(keywords(inner))
    chosen = draw(st.lists(st.sampled_from(sorted(schema)), max_size=LARGEST, unique=True)) if schema else []
    return {name: schema[name] for name in chosen}


leaves = st.booleans() | small(st.booleans())
schemas = st.recursive(leaves, small, max_leaves=4)
