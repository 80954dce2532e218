"""Example: a short text that a constraint allows."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from grammars.errors import UnsupportedConstraint
from grammars.spec import Choice, Regex, Spec

__all__ = ["example"]


@lru_cache(maxsize=512)
def example(spec: Spec) -> str:
    """A shortest text that matches a regex, the first option of a choice, or a small instance of a schema."""
    if isinstance(spec, Choice):
        return spec.options[0]
    if isinstance(spec, Regex):
        return _shortest(spec.pattern)
    schema = json.loads(spec.schema)
    return json.dumps(_instance(schema, schema, 0), ensure_ascii=False)


def _shortest(pattern: str) -> str:
    import interegular

    try:
        automaton: Any = interegular.parse_pattern(pattern).to_fsm()
    except Exception as error:  # whatever its parser stumbles over; the pattern itself was checked before
        reason = "no example can be made of it: give Mock an answer"
        raise UnsupportedConstraint("regex", repr(pattern), reason) from error
    texts = automaton.strings(max_iterations=100_000)
    return next(("".join(text) for text in texts if text), "")


def _instance(schema: Any, root: Any, depth: int) -> Any:
    if schema is True or schema == {} or depth > 20:
        return None
    if "$ref" in schema:
        return _instance(_resolve(schema["$ref"], root), root, depth + 1)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    for union in ("anyOf", "oneOf", "allOf"):
        if union in schema:
            return _instance(schema[union][-1], root, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "null")
    return _OF_KIND[kind[0] if isinstance(kind, list) else kind](schema, root, depth)


def _resolve(reference: str, root: Any) -> Any:
    found = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        found = found[part.replace("~1", "/").replace("~0", "~")] if part else found
    return found


def _object(schema: Any, root: Any, depth: int) -> dict[str, Any]:
    properties = schema.get("properties", {})
    wanted = schema.get("required", [])
    return {name: _instance(properties.get(name, True), root, depth + 1) for name in wanted}


def _array(schema: Any, root: Any, depth: int) -> list[Any]:
    items = list(schema.get("prefixItems", []))
    while len(items) < schema.get("minItems", 0):
        items.append(schema.get("items", True))
    return [_instance(item, root, depth + 1) for item in items]


def _string(schema: Any, root: Any, depth: int) -> str:
    if "pattern" in schema:
        return _shortest(str(schema["pattern"]).removeprefix("^").removesuffix("$"))
    return "a" * int(schema.get("minLength", 1))


def _number(schema: Any, root: Any, depth: int) -> Any:
    if "exclusiveMinimum" in schema:
        return schema["exclusiveMinimum"] + 1
    return schema.get("minimum", min(0, schema.get("maximum", 0)))


_OF_KIND: dict[str, Callable[[Any, Any, int], Any]] = {
    "object": _object,
    "array": _array,
    "string": _string,
    "number": _number,
    "integer": _number,
    "boolean": lambda schema, root, depth: False,
    "null": lambda schema, root, depth: None,
}
