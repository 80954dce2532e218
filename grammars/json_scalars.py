"""Regexes of JSON's scalars: strings by their content, numbers by their bounds, a few string formats."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from grammars.regular.charset import CharSet
from grammars.regular.pattern import Alternation, Characters, Concatenation, Node, Repetition

__all__ = ["FORMATS", "INTEGER", "NUMBER", "integer_between", "literal", "number_between", "string_of"]

INTEGER = "-?(?:0|[1-9][0-9]{0,18})"
"""At most 19 digits: without an end, models run away, and few parsers read more."""
NUMBER = INTEGER + r"(?:\.[0-9]{1,17})?(?:[eE][+-]?[0-9]{1,2})?"
MOST_DIGITS = 19

DAY = (
    "(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    "|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    "|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)"
)
TIME = "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,9})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
BYTE = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"

FORMATS = {
    "date": DAY,
    "time": TIME,
    "date-time": f"{DAY}T{TIME}",
    "uuid": "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    "ipv4": f"{BYTE}(?:\\.{BYTE}){{3}}",
    "email": f"[A-Za-z0-9_+-]{{1,31}}(?:\\.[A-Za-z0-9_+-]{{1,31}})?@{LABEL}\\.[A-Za-z]{{2,12}}",
}
"""Formats this engine holds to. Each pattern accepts only what the format's RFC does; `email` not all of it."""

SHORT_ESCAPES = {'"': '"', "\\": "\\", "\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t"}
ESCAPED = CharSet.of([(0, 0x1F), (0x22, 0x22), (0x5C, 0x5C)])
"""What a JSON string cannot contain as it is (RFC 8259, section 7)."""


def literal(value: object, separators: tuple[str, str] = (", ", ": ")) -> str:
    """The pattern of exactly `value` as JSON with those item and key separators, its strings without \\u escapes."""
    return re.escape(json.dumps(value, ensure_ascii=False, separators=separators))


def string_of(content: Node) -> str:
    """The pattern of a JSON string with that content, each character in its shortest spelling."""
    return f'"{_escaped(content).render()}"'


def _escaped(node: Node) -> Node:
    if isinstance(node, Concatenation):
        return Concatenation(tuple(map(_escaped, node.items)))
    if isinstance(node, Alternation):
        return Alternation(tuple(map(_escaped, node.items)))
    if isinstance(node, Repetition):
        return Repetition(_escaped(node.item), node.low, node.high)
    backslash = Characters(CharSet.chars("\\"))
    ways: list[Node] = []
    plain = node.chars - ESCAPED
    if plain:
        ways.append(Characters(plain))
    letters = "".join(letter for char, letter in SHORT_ESCAPES.items() if char in node.chars)
    if letters:
        ways.append(Concatenation((backslash, Characters(CharSet.chars(letters)))))
    if not ways:  # only control characters without a short escape; next to others they are left out
        spelled = [f"u{code:04x}" for low, high in node.chars.ranges for code in range(low, high + 1)]
        ways = [
            Concatenation((backslash, *(Characters(CharSet.chars(char)) for char in spelling))) for spelling in spelled
        ]
    return ways[0] if len(ways) == 1 else Alternation(tuple(ways))


def integer_between(low: Decimal | None, high: Decimal | None, low_open: bool, high_open: bool) -> str | None:
    """The pattern of the integers between two bounds, None when there is none.

    Args:
        low, high: the bounds, None for no bound.
        low_open, high_open: whether the bound itself is excluded.
    """
    most = 10**MOST_DIGITS - 1
    first = -most if low is None else _first_integer(low, low_open)
    last = most if high is None else -_first_integer(-high, high_open)
    return _either(_signed(max(first, -most), min(last, most)))


def _first_integer(low: Decimal, is_open: bool) -> int:
    """The smallest integer that `low` allows."""
    first = int(low.to_integral_value(ROUND_CEILING))
    return first + 1 if is_open and first == low else first


def _signed(first: int, last: int) -> Iterator[str]:
    if first < 0:
        for pattern in _decimals(max(1, -last), -first, 0):
            yield "-" + pattern
    yield from _decimals(max(0, first), last, 0)


def _either(patterns: Iterator[str]) -> str | None:
    joined = "|".join(patterns)
    return f"(?:{joined})" if joined else None


def _decimals(first: int, last: int, places: int) -> Iterator[str]:
    """Patterns of the numbers n / 10**places for first <= n <= last, each with exactly `places` decimals."""
    width = places + 1
    while first <= last:
        most = 10**width - 1
        if first <= most:
            for digits in _intervals(f"{first:0{width}}", f"{min(last, most):0{width}}"):
                whole, fraction = digits[: width - places], digits[width - places :]
                yield "".join(whole) + ("\\." + "".join(fraction) if places else "")
            first = most + 1
        width += 1


def _intervals(first: str, last: str) -> Iterator[tuple[str, ...]]:
    """Digit sets that together spell the numbers first .. last, all of one width."""
    if not first:
        yield ()
        return
    rest = len(first) - 1
    zeros, nines = "0" * rest, "9" * rest
    low, high = int(first[0]), int(last[0])
    if low == high:
        yield from ((first[0], *tail) for tail in _intervals(first[1:], last[1:]))
        return
    if first[1:] != zeros:
        yield from ((first[0], *tail) for tail in _intervals(first[1:], nines))
        low += 1
    upper = last[1:] != nines
    if low <= high - upper:
        yield (f"[{low}-{high - upper}]", *("[0-9]" for _ in range(rest)))
    if upper:
        yield from ((last[0], *tail) for tail in _intervals(zeros, last[1:]))


def number_between(low: Decimal | None, high: Decimal | None, low_open: bool, high_open: bool) -> str | None:
    """The pattern of the numbers between two bounds, without exponents; None when there is none.

    Args:
        low, high: the bounds, None for no bound; at most 9 decimals (beyond, they are rounded inwards).
        low_open, high_open: whether the bound itself is excluded.
    """
    places = max(0, *(min(9, -int(bound.as_tuple().exponent)) for bound in (low, high) if bound is not None))
    scale, most = Decimal(10) ** places, 10 ** (MOST_DIGITS - 3 + places)
    first = -most if low is None else max(-most, int((low * scale).to_integral_value(ROUND_CEILING)))
    last = most if high is None else min(most, int((high * scale).to_integral_value(ROUND_FLOOR)))
    return _either(_signed_numbers(first, last, low_open, high_open, places))


def _signed_numbers(first: int, last: int, first_open: bool, last_open: bool, places: int) -> Iterator[str]:
    if first < 0:
        nearest_open = last_open if last < 0 else True
        for pattern in _magnitudes(max(0, -last), -first, nearest_open, first_open, places):
            yield "-" + pattern
    if last >= 0:
        yield from _magnitudes(max(0, first), last, first_open if first >= 0 else False, last_open, places)


def _magnitudes(first: int, last: int, first_open: bool, last_open: bool, places: int) -> Iterator[str]:
    """Numbers between first / 10**places and last / 10**places, both >= 0."""
    for fewer in range(places + 1):
        step = 10 ** (places - fewer)
        begin, end = first + first_open, last - last_open
        yield from _decimals(-(-begin // step), end // step, fewer)
    digits = "{1,17}" if places else "{1,16}"
    point = "" if places else "\\."
    for pattern in _decimals(first + first_open, last - 1, places):
        yield f"{pattern}{point}[0-9]{digits}"
    if first_open and first < last:
        for pattern in _decimals(first, first, places):
            yield f"{pattern}{point}[0-9]{{0,15}}[1-9]"
