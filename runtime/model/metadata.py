"""Metadata: typed reads out of a model file's key-value pairs, with errors that name the key."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from runtime.errors import DamagedModel

__all__ = ["Metadata"]


class Metadata:
    """Reads values of a known type; an absent or null key gives the default, or is an error when there is none.

    Args:
        source: where the pairs come from, for error messages.
        pairs: key → value.
        prefix: put before every key asked for.
    """

    def __init__(self, source: str, pairs: Mapping[str, Any], *, prefix: str = "") -> None:
        self._source = source
        self._pairs = pairs
        self._prefix = prefix

    def __contains__(self, key: str) -> bool:
        return self._pairs.get(self._prefix + key) is not None

    def _value(self, key: str, default: Any) -> Any:
        value = self._pairs.get(self._prefix + key)
        value = default if value is None else value
        if value is None:
            raise DamagedModel(f"{self._source}: {self._prefix + key} is missing")
        return value

    def _wrong(self, key: str, value: object, allowed: str) -> DamagedModel:
        return DamagedModel(f"{self._source}: {self._prefix + key}={value!r} is not {allowed}")

    def count(self, key: str, default: int | None = None) -> int:
        """A whole number ≥ 1, or the default.

        Raises:
            DamagedModel: it is missing or something else.
        """
        value = self._value(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or (value < 1 and value != default):
            raise self._wrong(key, value, "a positive whole number")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """A finite number > 0, or the default.

        Raises:
            DamagedModel: it is missing or something else.
        """
        value = self._value(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            raise self._wrong(key, value, "a positive number")
        return float(value)

    def text(self, key: str, default: str | None = None) -> str:
        """A string, or the default.

        Raises:
            DamagedModel: it is missing or something else.
        """
        value = self._value(key, default)
        if not isinstance(value, str):
            raise self._wrong(key, value, "a string")
        return value

    def token_ids(self, *keys: str) -> tuple[int, ...]:
        """Token ids under several keys, each one id, a list of them, or absent.

        Raises:
            DamagedModel: one is no whole number ≥ 0.
        """
        found: list[int] = []
        for key in keys:
            value = self._pairs.get(self._prefix + key)
            for index in value if isinstance(value, list) else [] if value is None else [value]:
                if isinstance(index, bool) or not isinstance(index, int) or index < 0:
                    raise self._wrong(key, index, "a token id")
                found.append(index)
        return tuple(dict.fromkeys(found))

    def token_id(self, key: str) -> int | None:
        """One token id, or None where there is none; raises as `token_ids`."""
        return next(iter(self.token_ids(key)), None)
