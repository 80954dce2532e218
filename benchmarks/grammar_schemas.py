"""Schemas of the kinds people send, each with a value that is valid under it."""

from __future__ import annotations

from typing import Any

__all__ = ["SCHEMAS"]

Schema = dict[str, Any]

STRING: Schema = {"type": "string"}


def closed(**properties: Any) -> Schema:
    """An object of exactly these properties."""
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


PERSON = closed(
    name={"type": "string", "maxLength": 40},
    age={"type": "integer", "minimum": 0, "maximum": 130},
    occupation=STRING,
    city=STRING,
    hobbies={"type": "array", "items": STRING, "minItems": 1, "maxItems": 4},
    married={"type": "boolean"},
)
TOOL_CALL: Schema = {
    "anyOf": [
        closed(name={"const": "search"}, arguments=closed(query=STRING, limit={"type": "integer"})),
        closed(name={"const": "weather"}, arguments=closed(place=STRING, unit={"enum": ["celsius", "fahrenheit"]})),
        closed(
            name={"const": "calculate"}, arguments=closed(expression={"type": "string", "pattern": "^[0-9+*() -]+$"})
        ),
    ]
}
TREE: Schema = {
    "$ref": "#/$defs/node",
    "$defs": {"node": closed(label=STRING, children={"type": "array", "items": {"$ref": "#/$defs/node"}})},
}
ORDER: Schema = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "pattern": "^ORD-[0-9]{6}$"},
        "placed": {"type": "string", "format": "date-time"},
        "lines": {
            "type": "array",
            "items": closed(
                sku={"type": "string", "minLength": 3, "maxLength": 12},
                count={"type": "integer"},
                price={"type": "number", "minimum": 0},
            ),
        },
        "notes": {"type": ["string", "null"], "maxLength": 2000},
        "tags": {"type": "object", "additionalProperties": STRING},
    },
    "required": ["id", "lines"],
}  # fmt: skip
LABELS: Schema = {"type": "array", "items": {"enum": [f"category {at}" for at in range(300)]}, "minItems": 1}

SCHEMAS: dict[str, tuple[Schema, Any]] = {
    "person": (
        PERSON,
        {
            "name": "Ada Lovelace", "age": 36, "occupation": "mathematician", "city": "London",
            "hobbies": ["engines", "music"], "married": True,
        },
    ),
    "tool call": (TOOL_CALL, {"name": "weather", "arguments": {"place": "Reykjavík", "unit": "celsius"}}),
    "tree": (TREE, {"label": "root", "children": [{"label": side, "children": []} for side in ("left", "right")]}),
    "order": (
        ORDER,
        {
            "id": "ORD-004217",
            "placed": "2024-02-29T12:30:00Z",
            "lines": [{"sku": "AB-1234", "count": 3, "price": 19.95}, {"sku": "XYZ", "count": 1, "price": 5}],
            "notes": "Please ring twice; the dog is friendly but loud.",
            "tags": {"source": "web", "campaign": "spring"},
        },
    ),
    "labels": (LABELS, ["category 12", "category 299", "category 7"]),
    "anything": ({}, {"a": [1, 2.5, {"b": None}], "c": "some text that goes on for a while", "d": True}),
}  # fmt: skip
