"""Reads regular expressions in the syntax of ECMA 262, which JSON Schema's `pattern` is written in.

Source: ECMA-262, 16th edition, section 22.2.1 and annex B.1.2, of which is read what is not ambiguous. Of Python's
syntax, which many schemas are written in, is read what ECMA 262 has no meaning for: `(?P<name>…)`, `\\A`, `\\Z`, `\\z`
and flags at the very start.

Validators read `pattern` by one dialect or the other, and what they count in `\\d`, `\\w`, `\\s` and `.` differs. A
text matches here only if it does by both: `\\d` and `\\w` are ASCII's, `\\s` is the white space and `.` the characters
inside lines that both know, `\\D`, `\\W`, `\\S` and `[^…]` leave out what either counts in, and a word begins or ends
(`\\b`), or does not (`\\B`), where both say so. In negative lookaround it is the other way round, and so it is in the
whole pattern if `either` is asked for, whose complement then holds the texts that match by neither dialect.
`$` is the end of the text alone, as in ECMA 262.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NoReturn

from grammars.errors import GrammarLimit, InvalidSpec, UnsupportedConstraint
from grammars.regular.agreement import any_case, class_chars, line_chars, word_edge
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
from grammars.regular.unicode_property import property_chars

__all__ = ["read_ecma"]

CONTROLS = {"t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r"}
POSITIONS = {"A": Place.START, "Z": Place.END, "z": Place.END}
LOOKS = {"(?=": (False, False), "(?!": (False, True), "(?<=": (True, False), "(?<!": (True, True)}
"""The beginning of a lookaround, and whether it looks behind and is negated."""

SPECIAL = frozenset("([\\{*+?.^$")
QUANTIFIERS = frozenset("*+?{")
SIMPLE_COUNTS: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
COUNT = re.compile(r"\{([0-9]+)(?:(,)([0-9]*))?\}")
FLAGS = re.compile(r"\(\?([ims]+)\)")
GROUP = re.compile(r"\((?:\?:|\?P?<[^\W\d][\w$]*>)?(?!\?)")
CODE = re.compile(r"x([0-9a-fA-F]{2})|u\{0*([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})")
PROPERTY = re.compile(r"[pP]\{([^{}]*)\}")
LOW_SURROGATE = re.compile(r"\\u([dD][c-fC-F][0-9a-fA-F]{2})")


def read_ecma(pattern: str, *, either: bool = False) -> Node:
    """Reads a pattern as `new RegExp(pattern, "u")` would, more leniently.

    Args:
        pattern: the pattern.
        either: whether what matches by one of the two dialects is wanted, instead of what matches by both.

    Raises:
        InvalidSpec: the pattern does not parse.
        UnsupportedConstraint: it refers to groups, or its meaning is not certain.
        GrammarLimit: it is longer than `MAX_PATTERN_LENGTH` or nested deeper than `MAX_PATTERN_DEPTH`.
    """
    if len(pattern) > MAX_PATTERN_LENGTH:
        raise GrammarLimit(f"regex: {len(pattern)} characters, at most {MAX_PATTERN_LENGTH} are read")
    return _Reader(pattern, either).whole()


@lru_cache(maxsize=512)
def _literal(char: str) -> Characters:
    return Characters(CharSet.one(char))


class _Reader:
    def __init__(self, pattern: str, either: bool) -> None:
        self._pattern = pattern
        self._either = either
        self._position = 0
        self._depth = 0
        self._flags = ""

    def whole(self) -> Node:
        """The pattern."""
        flags = FLAGS.match(self._pattern)
        if flags:
            self._flags = flags[1]
            self._position = flags.end()
        node = self._alternatives()
        if self._position < len(self._pattern):
            self._invalid("a parenthesis is closed that was not opened")
        return node

    def _at(self, text: str) -> bool:
        return self._pattern.startswith(text, self._position)

    def _peek(self) -> str:
        """The character here; "" at the end."""
        return self._pattern[self._position : self._position + 1]

    def _take(self, text: str) -> bool:
        if not self._at(text):
            return False
        self._position += len(text)
        return True

    def _alternatives(self) -> Node:
        items = [self._sequence()]
        while self._take("|"):
            items.append(self._sequence())
        return items[0] if len(items) == 1 else Alternation(tuple(items))

    def _sequence(self) -> Node:
        items: list[Node] = []
        while self._position < len(self._pattern):
            start = self._position
            char = self._pattern[start]
            if char in "|)":
                break
            node = self._atom(char)
            items.append(self._counted(node, char in "^$\\(" and self._is_bare(node, start)))
        return items[0] if len(items) == 1 else Concatenation(tuple(items))

    def _is_bare(self, node: Node, start: int) -> bool:
        """Whether what was read from `start` on is a position without parentheses around it."""
        if self._pattern.startswith(("\\b", "\\B"), start):
            return True
        grouped = self._pattern[start] == "(" and not self._pattern.startswith(("(?<=", "(?<!"), start)
        return isinstance(node, Position | Look) and not grouped

    def _counted(self, node: Node, bare: bool) -> Node:
        """The node with the quantifier that stands here, which must not if it is a `bare` position."""
        count = self._quantifier() if self._peek() in QUANTIFIERS else None
        if count is None:
            return node
        if bare:
            self._invalid("a position is repeated")
        self._take("?")
        if self._peek() in QUANTIFIERS and self._quantifier() is not None:
            self._invalid("a repetition is repeated")
        return Repetition(node, *count)

    def _quantifier(self) -> tuple[int, int | None] | None:
        simple = SIMPLE_COUNTS.get(self._peek())
        if simple is not None:
            self._position += 1
            return simple
        match = COUNT.match(self._pattern, self._position)
        if match is None:
            return None
        self._position = match.end()
        low = int(match[1])
        high = (int(match[3]) if match[3] else None) if match[2] else low
        if high is not None and high < low:
            self._invalid(f"repeated {low} to {high} times")
        return low, high

    def _atom(self, char: str) -> Node:
        """What stands here, `char` being its first character."""
        if char not in SPECIAL and "i" not in self._flags:
            self._position += 1
            return _literal(char)
        if char == "(":
            return self._group()
        if char == "[":
            return self._set()
        if char == "\\":
            return self._escape()
        if char == "{" and (COUNT.match(self._pattern, self._position) or self._at("{,")):
            self._refuse("{,…}" if self._at("{,") else "a repetition of nothing")
        if char in "*+?":
            self._invalid("nothing to repeat")
        self._position += 1
        if char == ".":
            return Characters(CharSet.ALL if "s" in self._flags else line_chars(self._either))
        if char == "^":
            return Position(Place.LINE_START if "m" in self._flags else Place.START)
        if char == "$":
            return Position(Place.LINE_END if "m" in self._flags else Place.END)
        return self._one(CharSet.one(char))

    def _one(self, chars: CharSet) -> Node:
        return Characters(self._cased(chars))

    def _cased(self, chars: CharSet) -> CharSet:
        return any_case(chars, self._either) if "i" in self._flags else chars

    def _group(self) -> Node:
        self._depth += 1
        if self._depth > MAX_PATTERN_DEPTH:
            raise GrammarLimit(f"regex {shown(self._pattern)}: groups nested deeper than {MAX_PATTERN_DEPTH}")
        look = next((opening for opening in LOOKS if self._at(opening)), None)
        opening = None if look else GROUP.match(self._pattern, self._position)
        if look is None and opening is None:
            self._refuse(self._pattern[self._position : self._position + 3])
        self._position += len(look) if look else len(opening[0] if opening else "")
        negated = look is not None and LOOKS[look][1]
        self._either ^= negated
        node = self._alternatives()
        self._either ^= negated
        if not self._take(")"):
            self._invalid("a parenthesis is not closed")
        self._depth -= 1
        return Look(node, *LOOKS[look]) if look else node

    def _escape(self) -> Node:
        letter = self._pattern[self._position + 1 : self._position + 2]
        if letter in POSITIONS and letter:
            self._position += 2
            return Position(POSITIONS[letter])
        if letter in "bB" and letter:
            self._position += 2
            return word_edge(letter == "B", self._either)
        return self._one(self._escaped())

    def _escaped(self) -> CharSet:
        """The characters that the escape here stands for, in a set or outside."""
        start = self._position + 1
        if start >= len(self._pattern):
            self._invalid("it ends with a backslash")
        letter = self._pattern[start]
        self._position = start + 1
        if letter in "dDwWsS":
            return class_chars(letter, self._either)
        if letter in CONTROLS:
            return CharSet.one(CONTROLS[letter])
        if letter in "xu" and (code := CODE.match(self._pattern, start)):
            self._position = code.end()
            return self._coded(int(code[1] or code[2] or code[3], 16))
        if letter in "pP" and (name := PROPERTY.match(self._pattern, start)):
            self._position = name.end()
            chars = property_chars(name[1], shown(self._pattern))
            return chars.complement() if letter == "P" else chars
        following = self._pattern[start + 1 : start + 2]
        if letter == "c" and following.isascii() and following.isalpha():
            self._position = start + 2
            return CharSet.one(chr(ord(following) % 32))
        if letter == "0" and not following.isdigit():
            return CharSet.one("\0")
        if letter.isascii() and letter.isalnum():
            self._refuse("reference to a group" if letter.isdigit() or letter == "k" else "\\" + letter)
        return CharSet.one(letter)

    def _coded(self, code: int) -> CharSet:
        """The character with that code, which may be the first half of a surrogate pair."""
        low = LOW_SURROGATE.match(self._pattern, self._position) if 0xD800 <= code <= 0xDBFF else None
        if low:
            self._position = low.end()
            code = 0x10000 + ((code & 0x3FF) << 10 | int(low[1], 16) & 0x3FF)
        if code > 0x10FFFF:
            self._invalid(f"there is no character {code:#x}")
        return CharSet.one(chr(code))

    def _set(self) -> Node:
        negated = self._at("[^")
        self._position += 2 if negated else 1
        self._either ^= negated
        ranges: list[tuple[int, int]] = []
        while (char := self._peek()) != "]":
            first = self._member(char)
            if self._peek() != "-" or self._at("-]"):
                ranges += first.ranges
                continue
            self._position += 1
            last = self._member(self._peek())
            if first.single is None or last.single is None:
                # Annex B: beside a class a hyphen means itself.
                ranges += [*first.ranges, (ord("-"), ord("-")), *last.ranges]
            else:
                ranges.append((ord(first.single), ord(last.single)))
                if first.single > last.single:
                    self._invalid("a range is out of order")
        self._position += 1
        chars = self._cased(CharSet.of(ranges))
        self._either ^= negated
        return Characters(chars.complement() if negated else chars)

    def _member(self, char: str) -> CharSet:
        """What stands for one or more characters here, `char` being what is here."""
        if not char:
            self._invalid("a set is not closed")
        if char == "\\":
            if self._take("\\b"):
                return CharSet.one("\b")
            return self._escaped()
        self._position += 1
        return CharSet.one(char)

    def _invalid(self, why: str) -> NoReturn:
        raise InvalidSpec(f"regex {shown(self._pattern)}: {why} (at {self._position})")

    def _refuse(self, construct: str) -> NoReturn:
        raise UnsupportedConstraint(construct, shown(self._pattern), "not supported in a regex")
