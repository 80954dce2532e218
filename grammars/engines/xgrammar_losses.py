"""What xgrammar 0.2.8 silently lets through of a JSON schema, found by trying each keyword out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

__all__ = ["losses"]

IGNORED = frozenset({
    "uniqueItems", "not", "if", "dependentRequired", "dependentSchemas", "dependencies", "contains",
    "unevaluatedProperties", "unevaluatedItems", "$dynamicRef", "$recursiveRef",
})  # fmt: skip
"""Never enforced."""
ALONE = ("$ref", "enum", "const", "allOf", "anyOf", "oneOf")
"""Where one of these stands, what stands beside it may be ignored."""
ANNOTATIONS = frozenset({
    "title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$comment", "$schema", "$id",
    "$defs", "definitions", "$anchor", "$dynamicAnchor",
})  # fmt: skip
TYPED = frozenset({
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "pattern", "format",
    "minItems", "maxItems", "minProperties", "maxProperties", "required",
})  # fmt: skip
"""Ignored where neither `type` nor `properties` or `items` says what kind of value is meant."""
OF_NAMES = ("properties", "patternProperties", "$defs", "definitions")
IN_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
DIRECT = ("items", "additionalProperties", "propertyNames")

Place: TypeAlias = tuple[str, Any]
"""A JSON pointer and the subschema there."""


def losses(schema: Any, *, any_order: bool) -> tuple[str, ...]:
    """A sentence for each keyword that may not be enforced, with its place as a JSON pointer.

    Args:
        schema: as Python objects.
        any_order: keys may come in any order.
    """
    found = ["duplicate properties are let through, any key order being allowed"] if any_order else []
    for path, one in _subschemas(schema, ""):
        found += [f"{what} at {path or '/'} {how}" for what, how in _of(one)]
    return tuple(dict.fromkeys(found))


def _subschemas(schema: Any, path: str) -> Iterator[Place]:
    """Every object that is a schema."""
    stack: list[Place] = [(path, schema)]
    while stack:
        path, schema = stack.pop()
        if not isinstance(schema, dict):
            continue
        yield path, schema
        for keyword in OF_NAMES:
            named = schema.get(keyword)
            stack += [(f"{path}/{keyword}/{name}", one) for name, one in _items(named)]
        for keyword in IN_LISTS:
            stack += [(f"{path}/{keyword}/{at}", one) for at, one in enumerate(_list(schema.get(keyword)))]
        stack += [(f"{path}/{keyword}", schema[keyword]) for keyword in DIRECT if keyword in schema]


def _of(schema: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What one schema loses: the keyword and what becomes of it."""
    yield from ((keyword, "is ignored") for keyword in schema if keyword in IGNORED)
    if "multipleOf" in schema and schema.get("type") != "integer":
        yield "multipleOf", "is ignored, the type not being integer"
    if "format" in schema:
        yield "format", "is only roughly enforced, some formats not at all"
    if "minLength" in schema or "maxLength" in schema:
        yield "minLength or maxLength", "lets a raw NUL character through"
        if "pattern" in schema or "format" in schema:
            yield "minLength or maxLength", "is ignored beside pattern or format"
    if len(_list(schema.get("allOf"))) > 1:
        yield "allOf", "is ignored, having more than one member"
    if "oneOf" in schema:
        yield "oneOf", "is enforced as anyOf where its members overlap"
    alone = next((keyword for keyword in ALONE if keyword in schema), None)
    if alone is not None:
        beside = [keyword for keyword in schema if keyword != alone and keyword not in ANNOTATIONS]
        yield from ((keyword, f"may be ignored beside {alone}") for keyword in beside)
    elif not {"type", "properties", "items"} & schema.keys():
        yield from ((keyword, "is ignored without a type") for keyword in schema if keyword in TYPED)
    if "required" in schema and "properties" not in schema:
        yield "required", "is ignored without properties"
    if {"properties", "patternProperties"} <= schema.keys():
        yield "patternProperties", "is ignored for names that are in properties"


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    yield from value.items() if isinstance(value, dict) else ()


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
