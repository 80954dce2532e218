"""PartialPattern: where in a text a match of a regular expression may be under way."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

# Python's own reading of a pattern; the only way to hold back exactly what Python's own search would find later
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser as sre_parser  # type: ignore[attr-defined]
from typing import Any

__all__ = ["PartialPattern"]

_ANCHORS = {
    sre.AT_BEGINNING: "^",
    sre.AT_BEGINNING_STRING: r"\A",
    sre.AT_BOUNDARY: r"\b",
    sre.AT_NON_BOUNDARY: r"\B",
    sre.AT_END: "$",
    sre.AT_END_STRING: r"\Z",
}
_CATEGORIES = {
    sre.CATEGORY_DIGIT: r"\d",
    sre.CATEGORY_NOT_DIGIT: r"\D",
    sre.CATEGORY_SPACE: r"\s",
    sre.CATEGORY_NOT_SPACE: r"\S",
    sre.CATEGORY_WORD: r"\w",
    sre.CATEGORY_NOT_WORD: r"\W",
}
_FLAG_LETTERS = {re.ASCII: "a", re.IGNORECASE: "i", re.MULTILINE: "m", re.DOTALL: "s", re.UNICODE: "u"}


class PartialPattern:
    """Finds the first place from which a text's end could still become a match.

    Every atom and anchor of the pattern may also stand for the end of the text, so that the rewritten pattern
    matches from a place whenever the rest of the text is the beginning of some match. A place that fails stays
    failed however the text goes on. Look-around, backreferences and conditionals have no such rewriting: with them
    any place may be under way.

    Args:
        pattern: a valid regular expression in Python's syntax.
    """

    def __init__(self, pattern: str) -> None:
        tree = sre_parser.parse(pattern)
        try:
            rewritten = _sequence(tree)
        except _NotRewritable:
            self._search: Callable[[str, int, int], re.Match[str] | None] | None = None
        else:
            self._search = re.compile(rewritten, tree.state.flags & ~re.VERBOSE).search

    def first(self, text: str, start: int, end: int) -> int:
        """The first place in [start, end] from which text[:end] may be the beginning of a match; `end`: none."""
        if self._search is None:
            return start
        found = self._search(text, start, end)
        return end if found is None else found.start()


class _NotRewritable(Exception):
    """The pattern has an element whose partial match no pattern expresses."""


def _sequence(items: Iterable[tuple[Any, Any]]) -> str:
    return "".join(_element(kind, value) for kind, value in items)


def _element(kind: Any, value: Any) -> str:
    if kind in _REPEATS:
        low, high, inner = value
        bound = "" if high == sre.MAXREPEAT else str(high)
        return f"(?:{_sequence(inner)}){{{low},{bound}}}"
    if kind == sre.BRANCH:
        return f"(?:{'|'.join(_sequence(option) for option in value[1])})"
    if kind == sre.SUBPATTERN:
        _, added, removed, inner = value
        return f"(?{_letters(added)}{'-' if removed else ''}{_letters(removed)}:{_sequence(inner)})"
    if kind == sre.ATOMIC_GROUP:
        return f"(?:{_sequence(value)})"
    return rf"(?:{_atom(kind, value)}|\Z)"


_REPEATS = (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT)


def _atom(kind: Any, value: Any) -> str:
    if kind == sre.LITERAL:
        return re.escape(chr(value))
    if kind == sre.NOT_LITERAL:
        return f"[^{re.escape(chr(value))}]"
    if kind == sre.ANY:
        return "."
    if kind == sre.IN:
        return f"[{''.join(_member(*member) for member in value)}]"
    if kind == sre.AT:
        return _ANCHORS[value]
    raise _NotRewritable


def _member(kind: Any, value: Any) -> str:
    if kind == sre.NEGATE:
        return "^"
    if kind == sre.RANGE:
        return "-".join(re.escape(chr(bound)) for bound in value)
    if kind == sre.CATEGORY:
        return _CATEGORIES[value]
    return re.escape(chr(value))


def _letters(flags: int) -> str:
    return "".join(letter for flag, letter in _FLAG_LETTERS.items() if flags & flag)
