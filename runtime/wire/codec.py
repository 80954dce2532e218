"""Codec: what msgspec lacks for our messages: numbers that JSON has no form for.

Those are the strings "inf", "-inf" and "nan" where a float belongs; msgspec alone writes them as null.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import msgspec

from runtime.wire.errors import ProtocolError

__all__ = ["Reader", "encode", "misshapen", "plain"]

T = TypeVar("T")

_ENCODER = msgspec.json.Encoder()
_SPELLED = ('"inf"', '"-inf"', '"nan"')
_SPELLED_BYTES = tuple(text.encode() for text in _SPELLED)


def encode(value: Any) -> bytes:
    """A value as JSON.

    Raises:
        TypeError, UnicodeEncodeError: it holds what has no form there: an object, half of a character.
    """
    data = _ENCODER.encode(value)
    return _ENCODER.encode(plain(value)) if b"null" in data else data


def plain(value: Any) -> Any:
    """A value as lists, dictionaries with texts as keys, texts, finite numbers, booleans and None.

    Raises:
        TypeError: it holds what has no such form.
    """
    return _finite(msgspec.to_builtins(value, str_keys=True))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    return value


class Reader(Generic[T]):
    """Reads JSON of one type, and says where what is wrong with it stands.

    Args:
        kind: the type, as msgspec knows them.
    """

    def __init__(self, kind: Any) -> None:
        self._kind = kind
        self._strict: msgspec.json.Decoder[T] = msgspec.json.Decoder(kind)
        self._lenient: msgspec.json.Decoder[T] = msgspec.json.Decoder(kind, strict=False)

    def decode(self, data: str | bytes, where: str) -> T:
        """The value that `encode` made `data` of.

        Args:
            where: names the place for messages.

        Raises:
            ProtocolError: the data is no JSON, or of another shape.
        """
        try:
            return self._strict.decode(data)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            if not _spells_numbers(data):
                raise misshapen(error, where) from error
        try:
            return self._lenient.decode(data)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise misshapen(error, where) from error

    def convert(self, data: Any, where: str) -> T:
        """The value that `plain` made `data` of.

        Raises:
            ProtocolError: the data is of another shape.
        """
        try:
            text = _ENCODER.encode(data)
        except (TypeError, ValueError) as error:
            raise ProtocolError(f"{where}: {error}") from error
        return self.decode(text, where)


def misshapen(error: Exception, where: str) -> ProtocolError:
    """What msgspec says of data of another shape, the place in front: `where`, and the path from there."""
    message, _, path = str(error).partition(" - at `$")
    return ProtocolError(f"{where}{path.removesuffix('`')}: {message}")


def _spells_numbers(data: str | bytes) -> bool:
    if isinstance(data, str):
        return any(text in data for text in _SPELLED)
    return any(text in data for text in _SPELLED_BYTES)
