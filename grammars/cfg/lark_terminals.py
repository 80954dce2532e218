"""Terminals of a Lark grammar as regexes, composed the way Lark composes them.

Lark joins the regexes of a terminal's parts, and sorts alternatives so that the longest comes first; since `re` takes
the first alternative that matches, that order is part of what a terminal means.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from grammars.cfg.lark_text import Alternatives, Counted, Json, Name, Node, Quoted, Row, Span, SpecialName, Use
from grammars.cfg.lexeme import width
from grammars.errors import GrammarLimit, InvalidSpec

__all__ = ["Pattern", "Patterns"]

MAX_PATTERN = 200_000
"""Longest regex of one terminal, in characters."""
ESCAPES = {"n": "\n", "f": "\f", "t": "\t", "r": "\r"}
CODE_LENGTHS = {"x": 2, "u": 4, "U": 8}
ESCAPED_STRING = r'"(?:[^"\\\n]|\\[^\n])*"'
"""What `common.ESCAPED_STRING` takes. It is written with a lookbehind there, which costs more states."""
ESCAPED_STRING_AS_WRITTEN = r'".*?(?<!\\)(\\\\)*?"'


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regex, or a plain text when `plain`, with flags."""

    value: str
    flags: str = ""
    plain: bool = False

    def regex(self) -> str:
        """In Python's syntax."""
        regex = re.escape(self.value) if self.plain else self.value
        for flag in sorted(set(self.flags)):
            regex = f"(?{flag}:{regex})"
        return ESCAPED_STRING if regex == ESCAPED_STRING_AS_WRITTEN else regex


class Patterns:
    """The patterns of a grammar's terminals, found when asked for.

    Args:
        definitions: what each terminal is, by its name; None for one that is only declared.
    """

    def __init__(self, definitions: Mapping[str, Node | None]) -> None:
        self._definitions = definitions
        self._found: dict[str, Pattern | None] = {}

    def named(self, name: str) -> Pattern:
        """The pattern of a terminal.

        Raises:
            InvalidSpec: the terminal does not exist, is part of itself, or has a part that no terminal may have.
            GrammarLimit: its regex is too long.
        """
        if name in self._found:
            found = self._found[name]
            if found is None:
                raise InvalidSpec(f"lark: terminal {name} is part of itself")
            return found
        definition = self._definitions.get(name)
        if definition is None:
            declared = "is declared only, which needs a lexer of its own" if name in self._definitions else "is missing"
            raise InvalidSpec(f"lark: terminal {name} {declared}")
        self._found[name] = None
        self._found[name] = found = self.of(definition)
        return found

    def of(self, node: Node) -> Pattern:
        """The pattern of an expression without rules."""
        if isinstance(node, Quoted):
            return _quoted(node)
        if isinstance(node, Span):
            return _span(node)
        if isinstance(node, Name):
            if not node.name.strip("_")[0].isupper():
                raise InvalidSpec(f"lark: rule {node.name} is used in a terminal")
            return self.named(node.name)
        if isinstance(node, Row):
            if len(node.items) == 1:
                return self.of(node.items[0])
            return _limited("".join(self.of(item).regex() for item in node.items))
        if isinstance(node, Alternatives):
            options = sorted(map(self.of, node.options), key=_preference)
            return _limited(f"(?:{'|'.join(option.regex() for option in options)})")
        if isinstance(node, Counted):
            return _limited(f"(?:{self.of(node.item).regex()}){_counts(node)}")
        return _refused(node)


def _refused(node: Json | SpecialName | Use) -> Pattern:
    shown = {Json: "%json", SpecialName: "a special token", Use: "a template"}[type(node)]
    raise InvalidSpec(f"lark: {shown} is used in a terminal")


def _counts(node: Counted) -> str:
    suffix = {(0, None): "*", (1, None): "+", (0, 1): "?"}.get((node.low, node.high))
    return suffix or (f"{{{node.low}}}" if node.low == node.high else f"{{{node.low},{node.high}}}")


def _preference(pattern: Pattern) -> tuple[int, int, int]:
    low, high = (len(pattern.value),) * 2 if pattern.plain else width(pattern.regex())
    return -high, -low, -len(pattern.value)


def _limited(regex: str) -> Pattern:
    if len(regex) > MAX_PATTERN:
        raise GrammarLimit(f"lark: the regex of a terminal has more than {MAX_PATTERN} characters")
    return Pattern(regex)


def _quoted(quoted: Quoted) -> Pattern:
    text = _unescaped(quoted.text)
    if not text:
        raise InvalidSpec(f"lark: an empty {quoted.kind} is no terminal")
    if quoted.kind == "regex":
        return Pattern(text, quoted.flags)
    return Pattern(text.replace("\\\\", "\\"), quoted.flags, plain=True)


def _span(span: Span) -> Pattern:
    for end in (span.low, span.high):
        if len(_unescaped(end)) != 1:
            raise InvalidSpec(f'lark: "{end}" is not one character, as an end of a range must be')
    return Pattern(f"[{span.low}-{span.high}]")


def _unescaped(text: str) -> str:
    """The escapes Lark reads itself; the others stay for `re`, and so does a doubled backslash.

    As in Lark, a doubled backslash before a quote counts as a single one.
    """
    out: list[str] = []
    position = 0
    while position < len(text):
        char = text[position]
        escape = text[position + 1 : position + 2]
        if char != "\\":
            out.append(char)
            position += 1
            continue
        if not escape:
            raise InvalidSpec(f"lark: {text!r} ends in a backslash")
        position += 2
        if escape in CODE_LENGTHS:
            digits = text[position : position + CODE_LENGTHS[escape]]
            out.append(_code(digits, CODE_LENGTHS[escape], text))
            position += len(digits)
        elif escape == "\\":
            out.append("\\" if text[position : position + 1] == '"' else "\\\\")
        else:
            out.append(ESCAPES.get(escape) or ('"' if escape == '"' else f"\\{escape}"))
    return "".join(out)


def _code(digits: str, length: int, text: str) -> str:
    try:
        if len(digits) == length:
            return chr(int(digits, 16))
    except (ValueError, OverflowError):
        pass
    raise InvalidSpec(f"lark: {text!r} has an escape that is no character")
