"""What was just read: the value, or the name of the property, that a JSON text ends with.

Read from the end backwards, which is unambiguous in JSON: a quote inside a string is escaped.
"""

from __future__ import annotations

import json
from decimal import Decimal

__all__ = ["last_name", "last_value"]

QUOTE, BACKSLASH = b'"\\'
OPENING, CLOSING = b"[{", b"]}"
SPACES = b" \n\r\t"
SCALAR = frozenset(b"0123456789+-.eEtrufalsn")


def last_value(text: bytes) -> object:
    """The value that a text ends with, spaces behind it left out; numbers with a fraction or exponent are Decimals.

    Raises:
        ValueError: it ends with none.
    """
    end = _without_spaces(text, len(text))
    return json.loads(text[_start_of_value(text, end) : end], parse_float=Decimal)


def last_name(text: bytes) -> str:
    """The name of the property whose value a text ends with.

    Raises:
        ValueError: it ends with no property.
    """
    start = _start_of_value(text, _without_spaces(text, len(text)))
    colon = max(_without_spaces(text, start) - 1, 0)
    end = _without_spaces(text, colon)
    name = json.loads(text[_start_of_value(text, end) : end])
    if not isinstance(name, str):
        raise ValueError(f"{name!r} is no name")
    return name


def _without_spaces(text: bytes, end: int) -> int:
    while end and text[end - 1] in SPACES:
        end -= 1
    return end


def _start_of_value(text: bytes, end: int) -> int:
    if not end:
        raise ValueError("the text is empty")
    if text[end - 1] == QUOTE:
        return _start_of_string(text, end)
    start = end
    if text[end - 1] not in CLOSING:
        while start and text[start - 1] in SCALAR:
            start -= 1
        return start
    depth = 0
    while start:
        start -= 1
        if text[start] == QUOTE:
            start = _start_of_string(text, start + 1)
        elif text[start] in CLOSING:
            depth += 1
        elif text[start] in OPENING:
            depth -= 1
            if not depth:
                return start
    raise ValueError("the text ends with a bracket that was never opened")


def _start_of_string(text: bytes, end: int) -> int:
    """Where the string begins whose closing quote is before `end`."""
    start = end - 1
    while True:
        start = text.rindex(b'"', 0, start)
        escapes = start
        while escapes and text[escapes - 1] == BACKSLASH:
            escapes -= 1
        if (start - escapes) % 2 == 0:
            return start
