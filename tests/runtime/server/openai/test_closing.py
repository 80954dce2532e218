from __future__ import annotations

from typing import Any

import pytest

from runtime.server.openai.closing import closed

OBJECT: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "string"}}}
SHUT = {**OBJECT, "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (OBJECT, SHUT),
        ({"$ref": "#/$defs/x", "$defs": {"x": OBJECT}}, {"$ref": "#/$defs/x", "$defs": {"x": SHUT}}),
        ({"type": "array", "items": OBJECT}, {"type": "array", "items": SHUT}),
        ({"anyOf": [OBJECT, {"type": "null"}]}, {"anyOf": [SHUT, {"type": "null"}]}),
    ],
)
def test_objects_that_name_their_properties_are_closed(schema: Any, expected: Any) -> None:
    assert closed(schema) == expected


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {"type": "object"},
        {**OBJECT, "additionalProperties": {"type": "integer"}},
        {**OBJECT, "patternProperties": {"^x": {}}},
        {**OBJECT, "required": ["b"]},
        {**OBJECT, "allOf": [{"properties": {"b": {}}}]},
        {"allOf": [OBJECT, {"properties": {"b": {}}}]},
        {**OBJECT, "anyOf": [{"properties": {"b": {}}, "required": ["b"]}]},
        {**OBJECT, "minProperties": 2},
    ],
)
def test_where_closing_would_contradict_nothing_is_changed(schema: Any) -> None:
    assert closed(schema) == schema
