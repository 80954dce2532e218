"""Codec: an entry as a line of JSON, and back. What a default says is left out; reading gives the same entry."""

from __future__ import annotations

import json
import math
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast, get_args

from sgdsl.errors import InvalidArgument
from sgdsl.record.entries import VERSION, Entry, Header

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = ["decode", "encode"]

_NAMES = MappingProxyType(
    {
        "Header": "record", "RunBegun": "run", "StreamBegun": "stream", "Instruction": "instruction",
        "HandedOver": "handed_over", "FirstToken": "first_token", "Ended": "ended", "Failed": "failed",
        "RunEnded": "run_ended",
    }
)  # fmt: skip
"""What an entry is called in the file, by its class."""


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    """What reads and writes entries of that name. Loads pydantic, which `import sgdsl` must not."""
    from pydantic import ConfigDict, TypeAdapter, with_config

    kind = next(one for one in get_args(Entry) if _NAMES[one.__name__] == name)
    return TypeAdapter(with_config(ConfigDict(extra="forbid"))(kind))


def encode(entry: Entry) -> str:
    """The entry as one line of JSON, without the line's end."""
    name = _NAMES[type(entry).__name__]
    fields = {"entry": name} | _adapter(name).dump_python(entry, exclude_defaults=not isinstance(entry, Header))
    try:
        return _json(fields)
    except ValueError:
        return _json(_finite(fields))


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _finite(value: Any) -> Any:
    """JSON has no infinity; its name stands for it, which reading takes for a number again."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list | tuple) else value


def decode(line: str) -> Entry:
    """The entry of a line.

    Raises:
        InvalidArgument: the line is not an entry, or of a version that cannot be read here.
    """
    try:
        fields = json.loads(line)
    except ValueError as error:
        raise InvalidArgument(f"not JSON: {error}") from error
    if not isinstance(fields, dict) or "entry" not in fields:
        raise InvalidArgument(f"not an entry of a record: {line[:80]!r}")
    name = fields.pop("entry")
    if name not in _NAMES.values():
        raise InvalidArgument(f"entry={name!r} is not allowed: one of {', '.join(_NAMES.values())}")
    if name == _NAMES["Header"] and fields.get("version") != VERSION:
        raise InvalidArgument(f"version={fields.get('version')!r} is not allowed: this sgdsl reads version {VERSION}")
    return _validated(name, fields)


def _validated(name: str, fields: dict[str, Any]) -> Entry:
    from pydantic import ValidationError

    try:
        return cast("Entry", _adapter(name).validate_python(fields))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidArgument(f"{name}.{where}={first['input']!r:.80} is not allowed: {first['msg']}") from error
