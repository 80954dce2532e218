"""Reads regular expressions in Python's syntax."""

from __future__ import annotations

import importlib
import re
from typing import Any

from grammars.errors import GrammarLimit, InvalidSpec, UnsupportedConstraint
from grammars.regular.agreement import unicode_class
from grammars.regular.cases import python_cases
from grammars.regular.charset import CharSet
from grammars.regular.syntax import (
    MAX_PATTERN_DEPTH,
    MAX_PATTERN_LENGTH,
    Alternation,
    Characters,
    Concatenation,
    Look,
    Node,
    Place,
    Position,
    Repetition,
    shown,
)

__all__ = ["read_python"]

REFUSED = {
    "GROUPREF": "reference to a group",
    "GROUPREF_EXISTS": "reference to a group",
    "ATOMIC_GROUP": "atomic group",
    "POSSESSIVE_REPEAT": "possessive repetition",
}
"""Python's opcodes that no language here stands for, in words."""
PLACES = {
    "AT_BEGINNING": Place.START,
    "AT_BEGINNING_STRING": Place.START,
    "AT_END": Place.LAST_LINE_END,
    "AT_END_STRING": Place.END,
    "AT_BOUNDARY": Place.WORD_EDGE,
    "AT_NON_BOUNDARY": Place.NO_WORD_EDGE,
}
EDGES = ("AT_BOUNDARY", "AT_NON_BOUNDARY")
MULTILINE = {"AT_BEGINNING": Place.LINE_START, "AT_END": Place.LINE_END}


def read_python(pattern: str, *, spaces: CharSet = CharSet.SPACES, unicode: bool = False) -> Node:
    """Reads a pattern as `re.compile(pattern, re.ASCII)` would.

    Args:
        pattern: Python's syntax.
        spaces: what `\\s` means.
        unicode: whether it is read as without `re.ASCII` instead, where the pattern does not ask for that itself.

    Raises:
        InvalidSpec: the pattern does not parse.
        UnsupportedConstraint: it uses references, atomic groups or flags that are not known here.
        GrammarLimit: it is longer than `MAX_PATTERN_LENGTH` or nested deeper than `MAX_PATTERN_DEPTH`.
    """
    if len(pattern) > MAX_PATTERN_LENGTH:
        raise GrammarLimit(f"regex: {len(pattern)} characters, at most {MAX_PATTERN_LENGTH} are read")
    tree = _parsed(pattern, 0 if unicode else re.ASCII)
    if tree.state.flags & re.VERBOSE:
        raise UnsupportedConstraint("(?x)", shown(pattern))
    return _Reader(pattern, spaces).sequence(tree, tree.state.flags)


def _parsed(pattern: str, flags: int) -> Any:
    try:
        # Python's own parser: what it reads is by construction what `re` means. It is not public, but has had this
        # shape since Python 2.
        return importlib.import_module("re._parser").parse(_without_warnings(pattern), flags)
    except (re.error, ValueError, OverflowError) as error:
        raise InvalidSpec(f"regex {shown(pattern)}: {error}") from error
    except RecursionError:
        raise GrammarLimit(f"regex {shown(pattern)}: nested too deeply") from None


def _without_warnings(pattern: str) -> str:
    """Escapes what Python warns about in `[...]` (`[`, `--`, `&&`, `~~`, `||`), which changes no meaning."""
    out: list[str] = []
    position = 0
    while position < len(pattern):
        if pattern.startswith("(?#", position):
            end = pattern.find(")", position)
            end = len(pattern) if end < 0 else end + 1
        elif pattern[position] == "[":
            end = _copy_set(pattern, position, out)
            position = end
            continue
        else:
            end = position + (2 if pattern[position] == "\\" else 1)
        out.append(pattern[position:end])
        position = end
    return "".join(out)


def _copy_set(pattern: str, position: int, out: list[str]) -> int:
    """Copies the set that starts at `position`, escaped; the position behind it."""
    end = position + (2 if pattern.startswith("[^", position) else 1)
    out.append(pattern[position:end])
    position = first = end
    while position < len(pattern) and (pattern[position] != "]" or position == first):
        position = _copy_member(pattern, position, out)
        if pattern.startswith("-", position) and not pattern.startswith("-]", position) and position + 1 < len(pattern):
            out.append("-")
            position = _copy_member(pattern, position + 1, out)
    out.append(pattern[position : position + 1])
    return position + 1


def _copy_member(pattern: str, position: int, out: list[str]) -> int:
    end = position + (2 if pattern[position] == "\\" else 1)
    if pattern[position] in "[-&~|":
        out.append("\\")
    out.append(pattern[position:end])
    return end


class _Reader:
    """Turns Python's parse tree, a list of (opcode, argument), into nodes."""

    def __init__(self, pattern: str, spaces: CharSet) -> None:
        self._pattern = pattern
        self._spaces = spaces
        self._depth = 0

    def sequence(self, tree: Any, flags: int) -> Node:
        """Reads a sequence."""
        items = tuple(self._item(str(op), argument, flags) for op, argument in tree)
        return items[0] if len(items) == 1 else Concatenation(items)

    def _item(self, op: str, argument: Any, flags: int) -> Node:
        if op == "BRANCH":
            return Alternation(tuple(self.sequence(branch, flags) for branch in argument[1]))
        if op == "SUBPATTERN":
            _, added, removed, body = argument
            if added & (re.VERBOSE | re.UNICODE | re.LOCALE):
                raise self._unsupported("inline flag")
            return self._group(body, (flags | added) & ~removed)
        if op in ("MAX_REPEAT", "MIN_REPEAT"):
            low, high, body = argument
            unbounded = high == importlib.import_module("re._constants").MAXREPEAT
            return Repetition(self.sequence(body, flags), int(low), None if unbounded else int(high))
        if op == "AT" and str(argument) in EDGES and not flags & re.ASCII:
            return _word_edge(unicode_class("w"), str(argument) == "AT_BOUNDARY")
        if op == "AT":
            place = MULTILINE.get(str(argument)) if flags & re.MULTILINE else None
            return Position(place or PLACES[str(argument)])
        if op in ("ASSERT", "ASSERT_NOT"):
            direction, body = argument
            return Look(self._group(body, flags), behind=direction < 0, negated=op == "ASSERT_NOT")
        if op == "FAILURE":
            return Look(Concatenation(()), behind=False, negated=True)
        chars = self._chars(op, argument, flags)
        if not chars:
            raise InvalidSpec(f"regex {shown(self._pattern)}: a set in it is empty")
        return Characters(chars)

    def _group(self, body: Any, flags: int) -> Node:
        self._depth += 1
        if self._depth > MAX_PATTERN_DEPTH:
            raise GrammarLimit(f"regex {shown(self._pattern)}: groups nested deeper than {MAX_PATTERN_DEPTH}")
        node = self.sequence(body, flags)
        self._depth -= 1
        return node

    def _chars(self, op: str, argument: Any, flags: int) -> CharSet:
        if op == "LITERAL":
            return self._cased(CharSet.of([(argument, argument)]), flags)
        if op == "NOT_LITERAL":
            return self._cased(CharSet.of([(argument, argument)]), flags).complement()
        if op == "ANY":
            return CharSet.ALL if flags & re.DOTALL else CharSet.chars("\n").complement()
        if op == "IN":
            negated = bool(argument) and str(argument[0][0]) == "NEGATE"
            chars = CharSet(())
            for member_op, member in argument[1:] if negated else argument:
                chars |= self._member(str(member_op), member, flags)
            chars = self._cased(chars, flags)
            return chars.complement() if negated else chars
        raise self._unsupported(REFUSED.get(op, op.lower()))

    def _member(self, op: str, argument: Any, flags: int) -> CharSet:
        if op == "LITERAL":
            return CharSet.of([(argument, argument)])
        if op == "RANGE":
            return CharSet.of([argument])
        name = str(argument).removeprefix("CATEGORY_")
        chars = self._class(name.removeprefix("NOT_"), bool(flags & re.ASCII))
        if op != "CATEGORY" or chars is None:
            raise self._unsupported(name.lower())
        return chars.complement() if name.startswith("NOT_") else chars

    def _class(self, name: str, is_ascii: bool) -> CharSet | None:
        if not is_ascii:
            letter = {"DIGIT": "d", "WORD": "w", "SPACE": "s"}.get(name)
            return None if letter is None else unicode_class(letter)
        return {"DIGIT": CharSet.DIGITS, "WORD": CharSet.WORD, "SPACE": self._spaces}.get(name)

    def _cased(self, chars: CharSet, flags: int) -> CharSet:
        if not flags & re.IGNORECASE:
            return chars
        return chars.both_cases() if flags & re.ASCII else python_cases(chars)

    def _unsupported(self, construct: str) -> UnsupportedConstraint:
        return UnsupportedConstraint(construct, shown(self._pattern), "not supported in a regex")


def _word_edge(word: CharSet, is_edge: bool) -> Node:
    """`\\b`, or `\\B`, as looking at the characters on both sides."""
    ways = ((False, is_edge), (True, not is_edge))
    return Alternation(
        tuple(
            Concatenation((Look(Characters(word), behind=True, negated=before), Look(Characters(word), False, after)))
            for before, after in ways
        )
    )
