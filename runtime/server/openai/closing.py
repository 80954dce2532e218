"""Closing: schemas that do not say what else an object may hold are taken to say "nothing"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["closed"]

_OPENERS = (
    "additionalProperties", "unevaluatedProperties", "patternProperties", "allOf", "anyOf", "oneOf", "if", "$ref",
    "not", "minProperties", "propertyNames", "dependentSchemas",
)  # fmt: skip
_MAPS = ("properties", "$defs", "definitions")
_LISTS = ("anyOf", "oneOf", "prefixItems")
MOST_LEVELS = 60


def closed(schema: Any, level: int = 0) -> Any:
    """The schema with `additionalProperties: false` on every object that names its properties and says no more.

    Whatever is valid under it is valid under the schema given. Models run away with what a schema leaves open, and a
    function has no use for arguments it does not know.
    """
    if not isinstance(schema, Mapping) or level > MOST_LEVELS:
        return schema
    found = dict(schema)
    for name in _MAPS:
        if isinstance(found.get(name), Mapping):
            found[name] = {key: closed(one, level + 1) for key, one in found[name].items()}
    for name in _LISTS:
        if isinstance(found.get(name), list) and "properties" not in found:
            found[name] = [closed(one, level + 1) for one in found[name]]
    if isinstance(found.get("items"), Mapping):
        found["items"] = closed(found["items"], level + 1)
    names_all = set(found.get("required") or ()) <= set(found.get("properties") or ())
    if isinstance(found.get("properties"), dict) and names_all and not any(name in found for name in _OPENERS):
        found["additionalProperties"] = False
    return found
