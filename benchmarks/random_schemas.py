"""Random schemas of objects as programs ask for them, drawn with a seed."""

from __future__ import annotations

import random
from typing import Any

__all__ = ["random_schemas"]

NAMES = """
    name title age city role email status price quantity unit_price created_at is_active tags comments rating
    country language summary category first_name lastName phone-number weight height colour owner parent items
"""
WORDS = "red green blue small medium large open closed pending alpha beta gamma north south east west"
MOST_DEPTH = 2

Schema = dict[str, Any]


def random_schemas(count: int, seed: int) -> list[Schema]:
    """`count` schemas of objects with 2 to 8 fields, all required."""
    draw = random.Random(seed)
    return [_object(draw, draw.randint(2, 8), 0) for _ in range(count)]


def _object(draw: random.Random, fields: int, depth: int) -> Schema:
    properties = {name: _value(draw, depth + 1) for name in draw.sample(NAMES.split(), fields)}
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }  # fmt: skip


def _value(draw: random.Random, depth: int) -> Schema:
    kinds = ["text", "short", "integer", "number", "boolean", "enum", "const", "nullable"]
    if depth <= MOST_DEPTH:
        kinds += ["object", "array", "array"]
    kind = draw.choice(kinds)
    if kind == "object":
        return _object(draw, draw.randint(2, 4), depth)
    if kind == "array":
        return {"type": "array", "items": _value(draw, depth + 1), "minItems": 1, "maxItems": draw.randint(1, 4)}
    return _scalar(draw, kind)


def _scalar(draw: random.Random, kind: str) -> Schema:
    low = draw.randint(-20, 100)
    made: dict[str, Schema] = {
        "text": {"type": "string"},
        "short": {"type": "string", "minLength": 1, "maxLength": draw.randint(4, 24)},
        "integer": {"type": "integer", "minimum": low, "maximum": low + draw.randint(1, 2000)},
        "number": {"type": "number", "minimum": low / 2, "maximum": low / 2 + draw.randint(1, 50)},
        "boolean": {"type": "boolean"},
        "enum": {"enum": draw.sample(WORDS.split(), draw.randint(2, 5))},
        "const": {"const": " ".join(draw.sample(WORDS.split(), 3))},
        "nullable": {"type": ["string", "null"], "maxLength": 12},
    }
    return made[kind]
