"""Codec: frozen dataclasses as JSON values and back, exactly.

A dataclass is an object with its class's name as `type`; fields at their defaults are left out. Tuples are arrays.
Numbers that JSON lacks are the strings "inf", "-inf" and "nan". Reading checks everything against the annotations.
"""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import lru_cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from runtime.wire.errors import ProtocolError

__all__ = ["read", "write"]

_NUMBERS = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}
_SIMPLE: Mapping[type, tuple[type, ...]] = {str: (str,), int: (int,), bool: (bool,), float: (float, int)}


def write(value: object) -> Any:
    """A value as JSON can hold it.

    Raises:
        TypeError: a kind of value that has no form here.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if isinstance(value, tuple | list):
        return [write(one) for one in value]
    if isinstance(value, Mapping):
        return {str(key): write(one) for key, one in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        written: dict[str, Any] = {"type": type(value).__name__}
        for field, _ in _fields(type(value)).values():
            own = getattr(value, field.name)
            if _default(field) is MISSING or own != _default(field):
                written[field.name] = write(own)
        return written
    raise TypeError(f"{type(value).__name__} {value!r} cannot be written as JSON")


def read(kind: Any, data: Any, where: str) -> Any:
    """The value of type `kind` that `write` made `data` of.

    Args:
        where: names the place for messages.

    Raises:
        ProtocolError: the data is of another shape.
        ValueError: a class refuses the values of its fields, in its own words.
    """
    if kind is Any:
        return data
    origin = get_origin(kind)
    if origin is Union or origin is types.UnionType:
        return _read_union(get_args(kind), data, where)
    if origin is tuple:
        return _read_tuple(get_args(kind), data, where)
    if origin is Literal:
        if data in get_args(kind):
            return data
    elif origin is not None and issubclass(origin, Mapping):
        return _read_mapping(get_args(kind), data, where)
    elif isinstance(kind, type) and is_dataclass(kind):
        return _read_object(kind, data, where)
    elif kind is float and isinstance(data, str) and data in _NUMBERS:
        return _NUMBERS[data]
    elif _is_simple(kind, data):
        return _float(data, where) if kind is float else data
    raise ProtocolError(f"{where}: {_shown(data)} is not {_name(kind)}")


def _float(data: float, where: str) -> float:
    try:
        return float(data)
    except OverflowError:
        raise ProtocolError(f"{where}: {_shown(data)} is beyond any float") from None


def _is_simple(kind: Any, data: Any) -> bool:
    if kind is type(None):
        return data is None
    return isinstance(data, _SIMPLE[kind]) and (kind is bool or not isinstance(data, bool))


def _read_union(kinds: tuple[Any, ...], data: Any, where: str) -> Any:
    named = {kind.__name__: kind for kind in kinds if isinstance(kind, type) and is_dataclass(kind)}
    if isinstance(data, dict) and named:
        tag = data.get("type")
        if isinstance(tag, str) and tag in named:
            return _read_object(named[tag], data, where)
        raise ProtocolError(f"{where}: type {_shown(tag)} is not one of {', '.join(named)}")
    for kind in kinds:
        if kind in _SIMPLE or kind is type(None):
            if _is_simple(kind, data) or (kind is float and isinstance(data, str) and data in _NUMBERS):
                return read(kind, data, where)
        elif (get_origin(kind) is tuple and isinstance(data, list)) or (
            get_origin(kind) is not tuple and isinstance(data, dict)
        ):
            return read(kind, data, where)
    raise ProtocolError(f"{where}: {_shown(data)} is not {' or '.join(map(_name, kinds))}")


def _read_tuple(kinds: tuple[Any, ...], data: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(data, list):
        raise ProtocolError(f"{where}: {_shown(data)} is not a list")
    if len(kinds) == 2 and kinds[1] is ...:
        if kinds[0] is int and all(type(one) is int for one in data):  # token ids: most of what is sent
            return tuple(data)
        return tuple(read(kinds[0], one, f"{where}[{place}]") for place, one in enumerate(data))
    if len(kinds) != len(data):
        raise ProtocolError(f"{where}: {len(data)} values where {len(kinds)} belong")
    return tuple(read(kind, one, f"{where}[{i}]") for i, (kind, one) in enumerate(zip(kinds, data, strict=True)))


def _read_mapping(kinds: tuple[Any, ...], data: Any, where: str) -> dict[Any, Any]:
    if not isinstance(data, dict):
        raise ProtocolError(f"{where}: {_shown(data)} is not an object")
    try:
        keys = [int(key) if kinds[0] is int else key for key in data]
    except ValueError:
        raise ProtocolError(f"{where}: its keys are not integers") from None
    return {
        key: read(kinds[1], one, f"{where}.{key}") for key, one in zip(keys, data.values(), strict=True)
    }  # fmt: skip


def _read_object(kind: type, data: Any, where: str) -> Any:
    if not isinstance(data, dict):
        raise ProtocolError(f"{where}: {_shown(data)} is not an object")
    name = kind.__name__
    if data.get("type", name) != name:
        raise ProtocolError(f"{where}: type {_shown(data['type'])} is not {name}")
    known = _fields(kind)
    for key in data:
        if key not in known and key != "type":
            raise ProtocolError(f"{where}: {name} has no field {key!r}")
    for key, (field, _) in known.items():
        if key not in data and _default(field) is MISSING:
            raise ProtocolError(f"{where}: {name} lacks field {key!r}")
    given = {key: read(known[key][1], one, f"{where}.{key}") for key, one in data.items() if key in known}
    return kind(**given)


@lru_cache(maxsize=256)
def _fields(kind: type) -> dict[str, tuple[Field[Any], Any]]:
    """Every field of a class by name, with its type."""
    hints = get_type_hints(kind)
    return {field.name: (field, hints[field.name]) for field in fields(kind) if field.init}


def _default(field: Field[Any]) -> Any:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return field.default


def _name(kind: Any) -> str:
    if kind is type(None):
        return "null"
    return kind.__name__ if isinstance(kind, type) else str(kind).replace("typing.", "")


def _shown(data: Any) -> str:
    text = repr(data)
    return text if len(text) <= 80 else text[:77] + "..."
