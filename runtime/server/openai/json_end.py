"""JsonEnd: finds where a JSON value ends in a text that comes piece by piece and goes on behind it."""

from __future__ import annotations

__all__ = ["JsonEnd"]

_SCALAR = frozenset("+-.0123456789Eabcdefghijklmnopqrstuvwxyz")


class JsonEnd:
    """Follows one value. Of a text that is no JSON it finds some end or none, and fails at nothing."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        self._is_escaped = False
        self._is_scalar = False

    def find(self, text: str) -> int | None:
        """How many characters of the next piece belong to the value; None where it goes on behind them."""
        for place, character in enumerate(text):
            if self._in_string:
                if self._ends_string(character) and self._depth == 0:
                    return place + 1
            elif self._is_scalar and self._depth == 0 and character not in _SCALAR:
                return place
            elif character == '"':
                self._in_string = True
            elif character in "{[":
                self._depth += 1
            elif character in "}]":
                self._depth -= 1
                if self._depth <= 0:
                    return place + 1
            elif self._depth == 0:
                self._is_scalar = True
        return None

    def _ends_string(self, character: str) -> bool:
        if self._is_escaped:
            self._is_escaped = False
        elif character == "\\":
            self._is_escaped = True
        elif character == '"':
            self._in_string = False
            return True
        return False
