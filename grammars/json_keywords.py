"""JSON Schema's keywords: which there are, what their values must be, and how those of two schemas combine."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, TypeAlias

from grammars.errors import GrammarLimit, InvalidSpec, UnsupportedConstraint

__all__ = [
    "ANNOTATIONS",
    "KINDS",
    "UNENFORCED",
    "Schema",
    "all_disjoint",
    "check_shapes",
    "is_of_type",
    "merged",
    "same_value",
    "size_bounds",
    "tighter_bound",
    "types_of",
]

MAX_REPEATS = 65_536

Schema: TypeAlias = dict[str, Any]
KINDS: dict[str, tuple[str, ...]] = {
    "string": ("minLength", "maxLength", "pattern", "format"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "array": ("items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains"),
    "object": (
        *("properties", "required", "additionalProperties", "patternProperties", "propertyNames"),
        *("minProperties", "maxProperties", "dependentRequired", "dependentSchemas", "dependencies"),
    ),
}
"""The types of JSON, as far as they have keywords of their own, and those."""
TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")
UNENFORCED = (
    "not",
    "patternProperties",
    "propertyNames",
    "dependentRequired",
    "dependentSchemas",
    "dependencies",
    "unevaluatedProperties",
)
"""Keywords that are always named in a warning."""
SIZES = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
ANNOTATIONS = (
    *("title", "description", "default", "examples", "$schema", "$id", "$comment", "$defs", "definitions"),
    *("deprecated", "readOnly", "writeOnly", "discriminator"),
)
"""Keywords that constrain nothing."""
SHAPES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("properties", "patternProperties", "$defs", "definitions"), (dict,)),
    **dict.fromkeys(("anyOf", "oneOf", "allOf", "enum", "required", "prefixItems"), (list,)),
    **dict.fromkeys((*KINDS["number"], *SIZES), (int, float)),
    **dict.fromkeys(("pattern", "format", "$ref"), (str,)),
    "items": (dict, bool, list),
    "additionalProperties": (dict, bool),
    "type": (str, list),
}
"""What the value of a keyword must be."""
IN_WORDS = {dict: "an object", list: "an array", bool: "a boolean", str: "a string", int: "a number"}


def check_shapes(schema: Any, path: str) -> None:
    """Refuses what is no schema: InvalidSpec with keyword, path and what is wanted."""
    if not isinstance(schema, dict):
        raise InvalidSpec(f"json_schema: {schema!r:.60} at {path or '/'} is no schema")
    for keyword, value in schema.items():
        shapes = SHAPES.get(keyword)
        if shapes and (not isinstance(value, shapes) or (isinstance(value, bool) and bool not in shapes)):
            words = " or ".join(IN_WORDS[shape] for shape in shapes if shape is not float)
            raise InvalidSpec(f"json_schema: {keyword} at {path or '/'} is {value!r:.60}, not {words}")
    if not all(isinstance(name, str) for name in schema.get("required", ())):
        raise InvalidSpec(f"json_schema: required at {path or '/'} is not an array of strings")
    for keyword in ("$dynamicRef", "$recursiveRef"):
        if keyword in schema:
            raise UnsupportedConstraint(keyword, path)


def types_of(flat: Schema, path: str) -> list[str]:
    """The types a schema names or, without `type`, those its keywords are about."""
    if "type" not in flat:
        return [kind for kind, keywords in KINDS.items() if any(keyword in flat for keyword in keywords)]
    named = flat["type"] if isinstance(flat["type"], list) else [flat["type"]]
    for name in named:
        if name not in TYPES:
            raise InvalidSpec(f"json_schema: type at {path or '/'} is {name!r:.60}, not one of {', '.join(TYPES)}")
    if not named:
        raise InvalidSpec(f"json_schema: type at {path or '/'} is empty")
    return [name for name in dict.fromkeys(named) if name != "integer" or "number" not in named]


def size_bounds(flat: Schema, path: str, least: str, most: str) -> tuple[int, int | None]:
    """A pair of size limits such as `minLength` and `maxLength`; refuses negative, crossed and huge ones."""
    low, high = flat.get(least, 0), flat.get(most)
    for keyword, value in ((least, low), (most, high)):
        if value is not None and (value < 0 or value != int(value)):
            raise InvalidSpec(f"json_schema: {keyword} at {path or '/'} is {value!r}, not a whole number >= 0")
    if high is not None and low > high:
        raise UnsupportedConstraint(least, path, f"{low} is more than {most}, {high}")
    # Checked before anything is written out `low` times.
    if max(low, high or 0) > MAX_REPEATS:
        raise GrammarLimit(f"json_schema: {max(low, high or 0)} repetitions at {path or '/'}, at most {MAX_REPEATS}")
    return int(low), None if high is None else int(high)


def tighter_bound(flat: Schema, closed: str, opened: str, sign: int) -> tuple[Decimal | None, bool]:
    """The stricter of an inclusive and an exclusive bound, and whether it is exclusive."""
    found = [(Decimal(repr(flat[key])), key == opened) for key in (closed, opened) if key in flat]
    return max(found, key=lambda bound: (bound[0] * sign, bound[1]), default=(None, False))


def merged(one: Schema, other: Schema, keyword: str, path: str) -> Schema:
    """What is valid under both schemas; UnsupportedConstraint where that takes more than putting them together."""
    merged = dict(one)
    for first, second in ((one, other), (other, one)):
        closes = first.get("additionalProperties", True) is not True or "patternProperties" in first
        if closes and first.get("properties") != second.get("properties") and "properties" in second:
            raise UnsupportedConstraint(keyword, path, "additionalProperties beside properties of another part")
    for key, value in other.items():
        mine: Any = one.get(key, value)
        if mine == value or key in ANNOTATIONS:
            merged[key] = mine
        elif key == "required":
            merged[key] = list(dict.fromkeys([*mine, *value]))
        elif key == "properties" and not any(mine[name] != value[name] for name in mine.keys() & value.keys()):
            merged[key] = {**mine, **value}
        elif key.startswith(("min", "exclusiveMin")) and key in SHAPES:
            merged[key] = max(mine, value)
        elif key.startswith(("max", "exclusiveMax")) and key in SHAPES:
            merged[key] = min(mine, value)
        else:
            raise UnsupportedConstraint(keyword, path, f"parts with different {key} cannot be combined")
    return merged


def all_disjoint(branches: list[Schema]) -> bool:
    """Whether no value is valid under two of the schemas, as far as types and constants tell."""
    return all(_disjoint(one, other) for index, one in enumerate(branches) for other in branches[:index])


def _disjoint(one: Schema, other: Schema) -> bool:
    """Whether no value is valid under both schemas, as far as types and constants tell."""
    if "type" in one and "type" in other:
        kinds = [{"number" if name == "integer" else name for name in types_of(flat, "")} for flat in (one, other)]
        if not kinds[0] & kinds[1]:
            return True
    values = [flat.get("enum", [flat["const"]] if "const" in flat else None) for flat in (one, other)]
    if values[0] is not None and values[1] is not None:
        return not any(same_value(mine, theirs) for mine in values[0] for theirs in values[1])
    shared = set(one.get("required", ())) & set(other.get("required", ()))
    if not (one.get("type") == other.get("type") == "object"):
        return False
    parts = [(one.get("properties", {}).get(name), other.get("properties", {}).get(name)) for name in shared]
    return any(
        isinstance(mine, dict) and isinstance(theirs, dict) and _disjoint(mine, theirs) for mine, theirs in parts
    )


def same_value(one: Any, other: Any) -> bool:
    """Equality of JSON values: True is not 1."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def is_of_type(value: Any, name: str) -> bool:
    """Whether a JSON value is of a schema type."""
    if isinstance(value, bool):
        return name == "boolean"
    if isinstance(value, int | float):
        return name == "number" or (name == "integer" and value == int(value))
    return {str: "string", list: "array", dict: "object", type(None): "null"}[type(value)] == name
