"""A regular expression in Python's syntax as a small tree, and that tree as a regex for Rust's engine."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from typing import Any, TypeAlias

from grammars.regular.charset import CharSet
from grammars.errors import GrammarLimit, InvalidSpec, UnsupportedConstraint

__all__ = ["MAX_PATTERN_LENGTH", "Alternation", "Characters", "Concatenation", "Node", "Repetition", "parse_pattern"]

MAX_PATTERN_LENGTH = 200_000
"""Longest pattern that is read, in characters."""


@dataclass(frozen=True, slots=True)
class Characters:
    """One character out of a set."""

    chars: CharSet

    def render(self) -> str:
        """As a regex that Python and Rust read alike."""
        return self.chars.render()


@dataclass(frozen=True, slots=True)
class Concatenation:
    """One item after another; the empty text when there is none."""

    items: tuple[Node, ...]

    def render(self) -> str:
        """As a regex that Python and Rust read alike."""
        return "".join(item.render() for item in self.items)


@dataclass(frozen=True, slots=True)
class Alternation:
    """Any one of the items."""

    items: tuple[Node, ...]

    def render(self) -> str:
        """As a regex that Python and Rust read alike."""
        return f"(?:{'|'.join(item.render() for item in self.items)})"


@dataclass(frozen=True, slots=True)
class Repetition:
    """The item `low` to `high` times; without end when `high` is None."""

    item: Node
    low: int
    high: int | None

    def render(self) -> str:
        """As a regex that Python and Rust read alike."""
        suffix = {(0, None): "*", (1, None): "+", (0, 1): "?"}.get((self.low, self.high))
        if suffix is None:
            suffix = f"{{{self.low},{'' if self.high is None else self.high}}}"
        return f"(?:{self.item.render()}){suffix}"


Node: TypeAlias = Characters | Concatenation | Alternation | Repetition

EMPTY = Concatenation(())
NAMES = {
    "ASSERT": "lookaround",
    "ASSERT_NOT": "lookaround",
    "AT": "anchor or word boundary inside the pattern",
    "GROUPREF": "reference to a group",
    "GROUPREF_EXISTS": "reference to a group",
    "ATOMIC_GROUP": "atomic group",
    "POSSESSIVE_REPEAT": "possessive repetition",
}
"""Python's opcodes that no automaton here stands for, in words."""


def parse_pattern(pattern: str, *, search: bool = False, spaces: CharSet = CharSet.SPACES) -> Node:
    """Reads a pattern as `re.compile(pattern, re.ASCII)` would.

    Args:
        pattern: Python's syntax. Anchors are understood at the outer ends, of each alternative too.
        search: whether the pattern may match anywhere in the text, as JSON Schema's `pattern` does, instead of
            being the whole text.
        spaces: what `\\s` means.

    Raises:
        InvalidSpec: the pattern does not parse.
        UnsupportedConstraint: it uses lookaround, references, word boundaries, inner anchors, or other constructs
            that are no regular language or not known here.
        GrammarLimit: it is longer than `MAX_PATTERN_LENGTH` or nested too deeply.
    """
    if len(pattern) > MAX_PATTERN_LENGTH:
        raise GrammarLimit(f"regex: {len(pattern)} characters, at most {MAX_PATTERN_LENGTH} are read")
    try:
        # Python's own parser: what it reads is by construction what `re` means. It is not public, but has had this
        # shape since Python 2.
        tree = importlib.import_module("re._parser").parse(_without_warnings(pattern), re.ASCII)
    except (re.error, ValueError, OverflowError) as error:
        raise InvalidSpec(f"regex {_shown(pattern)}: {error}") from error
    except RecursionError:
        raise GrammarLimit(f"regex {_shown(pattern)}: nested too deeply") from None
    if tree.state.flags & re.VERBOSE:
        raise UnsupportedConstraint("(?x)", _shown(pattern))
    try:
        around = Repetition(Characters(CharSet.ALL), 0, None) if search else EMPTY
        return _Reader(pattern, spaces).sequence(tree, tree.state.flags, around, around)
    except RecursionError:
        raise GrammarLimit(f"regex {_shown(pattern)}: nested too deeply") from None


def _shown(pattern: str) -> str:
    return repr(pattern if len(pattern) <= 60 else pattern[:57] + "...")


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

    def sequence(self, tree: Any, flags: int, before: Node | None, after: Node | None) -> Node:
        """Reads a sequence.

        `before` is None inside the pattern. Where the sequence begins the whole pattern, it is what may precede it
        unless an anchor says otherwise; `after` likewise for the end.
        """
        ops = [(str(op), argument) for op, argument in tree]
        while ops and before is not None and _is_anchor(ops[0], "BEGINNING"):
            ops, before = ops[1:], EMPTY
        while ops and after is not None and _is_anchor(ops[-1], "END"):
            ops, after = ops[:-1], EMPTY
        items: list[Node] = []
        for index, (op, argument) in enumerate(ops):
            # A group at the outer end may hold the anchors of its alternatives: it is told what would precede it.
            outer_before = before if index == 0 else None
            outer_after = after if index == len(ops) - 1 else None
            if op in ("BRANCH", "SUBPATTERN"):
                items.append(self._group(op, argument, flags, outer_before, outer_after))
                continue
            items += [outer_before] if outer_before is not None else []
            items.append(self._item(op, argument, flags))
            items += [outer_after] if outer_after is not None else []
        if not ops:
            items = [end for end in (before, after) if end is not None]
        items = [item for item in items if item != EMPTY]
        return items[0] if len(items) == 1 else Concatenation(tuple(items))

    def _group(self, op: str, argument: Any, flags: int, before: Node | None, after: Node | None) -> Node:
        if op == "BRANCH":
            return Alternation(tuple(self.sequence(branch, flags, before, after) for branch in argument[1]))
        _, added, removed, body = argument
        if added & (re.VERBOSE | re.UNICODE | re.LOCALE):
            raise self._unsupported("inline flag")
        return self.sequence(body, (flags | added) & ~removed, before, after)

    def _item(self, op: str, argument: Any, flags: int) -> Node:
        if op in ("MAX_REPEAT", "MIN_REPEAT"):
            low, high, body = argument
            unbounded = high == importlib.import_module("re._constants").MAXREPEAT
            return Repetition(self.sequence(body, flags, None, None), int(low), None if unbounded else int(high))
        chars = self._chars(op, argument, flags)
        if not chars:
            raise InvalidSpec(f"regex {_shown(self._pattern)}: a set in it is empty")
        return Characters(chars)

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
                chars |= self._member(str(member_op), member)
            chars = self._cased(chars, flags)
            return chars.complement() if negated else chars
        raise self._unsupported(NAMES.get(op, op.lower()))

    def _member(self, op: str, argument: Any) -> CharSet:
        if op == "LITERAL":
            return CharSet.of([(argument, argument)])
        if op == "RANGE":
            return CharSet.of([argument])
        name = str(argument).removeprefix("CATEGORY_")
        classes = {"DIGIT": CharSet.DIGITS, "WORD": CharSet.WORD, "SPACE": self._spaces}
        chars = classes.get(name.removeprefix("NOT_"))
        if op != "CATEGORY" or chars is None:
            raise self._unsupported(name.lower())
        return chars.complement() if name.startswith("NOT_") else chars

    def _cased(self, chars: CharSet, flags: int) -> CharSet:
        return chars.both_cases() if flags & re.IGNORECASE else chars

    def _unsupported(self, construct: str) -> UnsupportedConstraint:
        return UnsupportedConstraint(construct, _shown(self._pattern), "not supported in a regex")


def _is_anchor(op: tuple[str, Any], end: str) -> bool:
    """Whether an operation is `^` or `\\A` (end "BEGINNING"), `$` or `\\Z` (end "END")."""
    return op[0] == "AT" and str(op[1]).removeprefix("AT_").removesuffix("_STRING") == end
