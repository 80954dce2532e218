"""Sampling parameters, with the grammar in them, as JSON and back.

They are dataclasses of other packages; what msgspec lacks for those is here: unions told apart by `type`, and fields at
their defaults left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import lru_cache
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec

from grammars.spec import Spec
from runtime.sampling.params import SamplingParams
from runtime.wire.codec import misshapen
from runtime.wire.errors import ProtocolError

__all__ = ["read_params", "read_spec", "write_params", "write_spec"]


def write_params(params: SamplingParams) -> dict[str, Any]:
    """Every field that is not at its default."""
    written: dict[str, Any] = _write(params)
    del written["type"]
    return written


def read_params(data: Mapping[str, Any]) -> SamplingParams:
    """The same parameters again.

    Raises:
        ProtocolError: a field is unknown or of another type.
        InvalidParameter, InvalidSpec: a field has a value that is not allowed.
    """
    read_back: SamplingParams = _read(SamplingParams, dict(data), "params")
    return read_back


def write_spec(spec: Spec) -> dict[str, Any]:
    """A constraint as an object whose `type` is its class."""
    written: dict[str, Any] = _write(spec)
    return written


def read_spec(data: Mapping[str, Any]) -> Spec:
    """The same constraint again.

    Raises:
        ProtocolError: no constraint of that type, or a field is unknown or of another type.
        InvalidSpec: a field has a value that is not allowed.
    """
    spec: Spec = _read(Spec, dict(data), "constraint")
    return spec


def _write(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        written: dict[str, Any] = {"type": type(value).__name__}
        for name, (field, _) in _fields(type(value)).items():
            own = getattr(value, name)
            if own != _default(field):
                written[name] = _write(own)
        return written
    if isinstance(value, tuple):
        return [_write(one) for one in value]
    if isinstance(value, Mapping):
        return {str(key): one for key, one in value.items()}
    return value


def _read(kind: Any, data: Any, where: str) -> Any:
    """The value of type `kind` that `_write` made `data` of."""
    if not _holds_dataclass(kind):
        return _convert(kind, data, where)
    if isinstance(kind, type) and is_dataclass(kind):
        return _read_object(kind, data, where)
    kinds = get_args(kind)
    if get_origin(kind) is tuple:
        if not isinstance(data, list):
            raise ProtocolError(f"{where}: {_shown(data)} is not a list")
        return tuple(_read(kinds[0], one, f"{where}[{place}]") for place, one in enumerate(data))
    named = {one.__name__: one for one in kinds if isinstance(one, type) and is_dataclass(one)}
    if isinstance(data, dict):
        tag = data.get("type")
        if not isinstance(tag, str) or tag not in named:
            raise ProtocolError(f"{where}: type {_shown(tag)} is not one of {', '.join(named)}")
        return _read_object(named[tag], data, where)
    others = tuple(one for one in kinds if not is_dataclass(one))
    if not others:
        raise ProtocolError(f"{where}: {_shown(data)} is not an object")
    return _convert(Union[others], data, where)  # noqa: UP007


def _read_object(kind: Any, data: Any, where: str) -> Any:
    name = kind.__name__
    if not isinstance(data, dict) or data.get("type", name) != name:
        raise ProtocolError(f"{where}: {_shown(data)} is not {name}")
    known = _fields(kind)
    for key in data:
        if key not in known and key != "type":
            raise ProtocolError(f"{where}: {name} has no field {key!r}")
    for key, (field, _) in known.items():
        if key not in data and _default(field) is MISSING:
            raise ProtocolError(f"{where}: {name} lacks field {key!r}")
    return kind(**{key: _read(known[key][1], one, f"{where}.{key}") for key, one in data.items() if key in known})


def _convert(kind: Any, data: Any, where: str) -> Any:
    try:
        return msgspec.convert(data, kind, str_keys=True)
    except (ValueError, OverflowError) as error:
        raise misshapen(error, where) from error


@lru_cache(maxsize=64)
def _holds_dataclass(kind: Any) -> bool:
    return is_dataclass(kind) or any(map(_holds_dataclass, get_args(kind)))


@lru_cache(maxsize=64)
def _fields(kind: type) -> dict[str, tuple[Field[Any], Any]]:
    """Every field of a class by name, with its type."""
    hints = get_type_hints(kind)
    return {field.name: (field, hints[field.name]) for field in fields(kind)}


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _shown(data: Any) -> str:
    text = repr(data)
    return text if len(text) <= 80 else text[:77] + "..."
