"""The language of a terminal: a regex in Python's syntax, read the way `re.match` takes text.

Character classes are Unicode's, as in `re` without flags.
"""

from __future__ import annotations

import importlib
import re
from functools import cache
from typing import TYPE_CHECKING, Any

from grammars.cfg.keywords import language_without_keywords
from grammars.cfg.longest import longest_language
from grammars.cfg.preference import Behind, Branches, Loop, OneOf, Preferred, Ranges, Unless, Way
from grammars.errors import GrammarLimit, InvalidSpec, UnsupportedConstraint
from grammars.regular.charset import CharSet

if TYPE_CHECKING:
    from grammars.regular.language import Language, Languages

__all__ = ["lexeme_language", "width"]

NAMES = {
    "ASSERT": "lookahead",
    "AT": "anchor or word boundary",
    "GROUPREF": "reference to a group",
    "GROUPREF_EXISTS": "reference to a group",
    "ATOMIC_GROUP": "atomic group",
    "POSSESSIVE_REPEAT": "possessive repetition",
}
CATEGORIES = {"DIGIT": r"\d", "WORD": r"\w", "SPACE": r"\s"}
KIN_OF_ASCII = "\u0130\u0131\u017f\u212a"
"""The characters beyond ASCII that match an ASCII letter when case is ignored."""


def width(regex: str) -> tuple[int, int]:
    """The least and the greatest number of characters it can match; a very great one for no limit.

    Raises:
        InvalidSpec: the regex does not parse.
        GrammarLimit: it is nested too deeply.
    """
    low, high = _parsed(regex).getwidth()
    return int(low), int(high)


def lexeme_language(languages: Languages, regex: str) -> Language:
    """The language whose longest match, anywhere in a text, is what `re.match` takes there.

    Raises:
        InvalidSpec: the regex does not parse, or nothing can match it.
        UnsupportedConstraint: it uses anchors, lookahead, references or other constructs not known here.
        GrammarLimit: it is too large or nested too deeply.
    """
    tree = _parsed(regex)
    reader = _Reader(regex)
    try:
        way = reader.sequence(tree, tree.state.flags)
        if way and isinstance(way[0], Unless):
            return language_without_keywords(languages, way[0], way[1:])
        language = longest_language(languages, way)
        return language or languages.leaf(Preferred.start(way, tuple(reader.behind)))
    except RecursionError:
        raise GrammarLimit(f"regex {_shown(regex)}: nested too deeply") from None


def _parsed(regex: str) -> Any:
    try:
        # Python's own parser: what it reads is by construction what `re` means. It is not public, but has had this
        # shape since Python 2.
        return importlib.import_module("re._parser").parse(regex)
    except (re.error, ValueError, OverflowError) as error:
        raise InvalidSpec(f"regex {_shown(regex)}: {error}") from error
    except RecursionError:
        raise GrammarLimit(f"regex {_shown(regex)}: nested too deeply") from None


def _shown(regex: str) -> str:
    return repr(regex if len(regex) <= 60 else regex[:57] + "...")


class _Reader:
    """Turns Python's parse tree, a list of (opcode, argument), into items."""

    def __init__(self, regex: str) -> None:
        self.behind: list[Ranges] = []
        self._regex = regex

    def sequence(self, tree: Any, flags: int) -> Way:
        """Reads a sequence."""
        way: Way = ()
        for op, argument in tree:
            way += self._items(str(op), argument, flags)
        return way

    def _items(self, op: str, argument: Any, flags: int) -> Way:
        if op == "SUBPATTERN":
            _, added, removed, body = argument
            return self.sequence(body, (flags | added) & ~removed)
        if op == "BRANCH":
            return (Branches(tuple(self.sequence(branch, flags) for branch in argument[1])),)
        if op in ("MAX_REPEAT", "MIN_REPEAT"):
            low, high, body = argument
            unbounded = high == importlib.import_module("re._constants").MAXREPEAT
            way = self.sequence(body, flags)
            return (Loop(way, int(low), None if unbounded else int(high), op == "MIN_REPEAT"),)
        if op in ("ASSERT", "ASSERT_NOT") and argument[0] < 0:
            return (self._lookbehind(argument[1], flags, op == "ASSERT_NOT"),)
        if op == "ASSERT_NOT":
            return (Unless(self._before_boundary(argument[1], flags), bool(flags & re.ASCII)),)
        chars = self._chars(op, argument, flags)
        if not chars:
            raise InvalidSpec(f"regex {_shown(self._regex)}: a set in it is empty")
        return (OneOf(chars.ranges),)

    def _before_boundary(self, tree: Any, flags: int) -> Way:
        """What stands before the word boundary that a tree, or each of its alternatives, ends in."""
        ops = list(tree)
        op: str = str(ops[-1][0]) if ops else ""
        argument: Any = ops[-1][1] if ops else None
        if op == "AT" and str(argument) == "AT_BOUNDARY":
            return self.sequence(ops[:-1], flags)
        if op == "SUBPATTERN" and len(ops) == 1:
            _, added, removed, body = argument
            return self._before_boundary(body, (flags | added) & ~removed)
        if op == "BRANCH" and len(ops) == 1:
            return (Branches(tuple(self._before_boundary(branch, flags) for branch in argument[1])),)
        raise self._unsupported("negative lookahead without a word boundary behind it")

    def _lookbehind(self, tree: Any, flags: int, negated: bool) -> Behind:
        way = self.sequence(tree, flags)
        if len(way) != 1 or not isinstance(way[0], OneOf):
            raise self._unsupported("lookbehind of more than one character")
        self.behind.append(way[0].ranges)
        return Behind(len(self.behind) - 1, negated)

    def _chars(self, op: str, argument: Any, flags: int) -> CharSet:
        if op == "LITERAL":
            return _cased(CharSet.of([(argument, argument)]), flags)
        if op == "NOT_LITERAL":
            return _cased(CharSet.of([(argument, argument)]), flags).complement()
        if op == "ANY":
            return CharSet.ALL if flags & re.DOTALL else CharSet.chars("\n").complement()
        if op == "IN":
            negated = str(argument[0][0]) == "NEGATE"
            chars = CharSet(())
            for member_op, member in argument[1:] if negated else argument:
                chars |= self._member(str(member_op), member, flags)
            chars = _cased(chars, flags)
            return chars.complement() if negated else chars
        raise self._unsupported(NAMES.get(op, op.lower()))

    def _member(self, op: str, argument: Any, flags: int) -> CharSet:
        if op == "LITERAL":
            return CharSet.of([(argument, argument)])
        if op == "RANGE":
            return CharSet.of([argument])
        name = str(argument).removeprefix("CATEGORY_")
        if op != "CATEGORY" or name.removeprefix("NOT_") not in CATEGORIES:
            raise self._unsupported(name.lower())
        chars = CharSet(_matching(CATEGORIES[name.removeprefix("NOT_")], flags & re.ASCII))
        return chars.complement() if name.startswith("NOT_") else chars

    def _unsupported(self, construct: str) -> UnsupportedConstraint:
        return UnsupportedConstraint(construct, _shown(self._regex), "not supported in a terminal")


def _cased(chars: CharSet, flags: int) -> CharSet:
    """With all characters that count as the same when case is ignored, if it is."""
    if not flags & re.IGNORECASE or not chars:
        return chars
    universe = "".join(map(chr, range(128))) + KIN_OF_ASCII if chars.ranges[-1][1] < 128 else _every_char()
    kin = re.finditer(f"{chars.render()}+", universe, re.IGNORECASE | flags & re.ASCII)
    return chars | CharSet.of((ord(char), ord(char)) for span in kin for char in span.group())


@cache
def _matching(category: str, flags: int) -> Ranges:
    """The characters of one of `re`'s categories."""
    spans = re.finditer(f"{category}+", _every_char(), flags)
    return CharSet.of((span.start(), span.end() - 1) for span in spans).ranges


def _every_char() -> str:
    return "".join(map(chr, range(0x110000)))
