"""JSON characters: objects under a schema."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import jsonschema

import sgdsl as sg
from benchmarks.suite.size import Size
from benchmarks.suite.source import Source
from benchmarks.suite.workload import Items, Workload

__all__ = ["CHARACTERS", "SCHEMA"]

_TEXT = {"type": "string", "maxLength": 24}
_WAND = {
    "type": "object",
    "properties": {"wood": _TEXT, "core": _TEXT, "length": {"type": "integer", "minimum": 5, "maximum": 20}},
    "required": ["wood", "core", "length"],
    "additionalProperties": False,
}
SCHEMA = {
    "type": "object",
    "properties": {
        "name": _TEXT,
        "house": {"type": "string", "enum": ["Gryffindor", "Slytherin", "Ravenclaw", "Hufflepuff"]},
        "blood status": {"type": "string", "enum": ["Pure-blood", "Half-blood", "Muggle-born"]},
        "occupation": {"type": "string", "enum": ["student", "teacher", "auror", "minister of magic", "other"]},
        "wand": _WAND,
        "alive": {"type": "boolean"},
        "patronus": _TEXT,
    },
    "required": ["name", "house", "blood status", "occupation", "wand", "alive", "patronus"],
    "additionalProperties": False,
}


@sg.function
def describe(s, rules: str, name: str):
    s += sg.system(rules)
    s += sg.user(f"Describe {name} as a JSON object with the keys {', '.join(SCHEMA['properties'])}.")
    s += sg.assistant(sg.gen("character", 192, json_schema=SCHEMA, ignore_eos=False))


def items(source: Source, size: Size, salt: str) -> Items:
    rules = f"You know everything about characters of novels. Session {salt}."
    return [{"rules": rules, "name": name} for name in source.characters[: size.of(16, 2)]]


def remark(states: Sequence[Any]) -> str:
    """How many objects are whole and fit the schema."""
    return f"{sum(_is_valid(state.text_of('character')) for state in states)}/{len(states)} valid"


def _is_valid(text: str) -> bool:
    try:
        jsonschema.validate(json.loads(text), SCHEMA)
    except (ValueError, jsonschema.ValidationError):
        return False
    return True


CHARACTERS = Workload(
    name="characters", about="16 JSON objects under a schema", program=describe, items=items,
    is_chat=True, has_fixed_length=False, remark=remark,
)  # fmt: skip
