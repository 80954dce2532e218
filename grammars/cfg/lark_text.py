"""The text of a Lark grammar as a list of statements; see https://lark-parser.readthedocs.io/en/stable/grammar.html."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from grammars.cfg.scanner import Scanner, Token
from grammars.errors import GrammarLimit, UnsupportedConstraint

__all__ = [
    "Alternatives",
    "Counted",
    "Declaration",
    "Definition",
    "Ignored",
    "Import",
    "Json",
    "Name",
    "Node",
    "Quoted",
    "Row",
    "Span",
    "SpecialName",
    "Statement",
    "Use",
    "statements_of",
]


@dataclass(frozen=True, slots=True)
class Quoted:
    """A string or a regex as written, without its quotes or slashes, escapes unread."""

    kind: Literal["string", "regex"]
    text: str
    flags: str


@dataclass(frozen=True, slots=True)
class Span:
    """One character between two, as written, escapes unread."""

    low: str
    high: str


@dataclass(frozen=True, slots=True)
class Name:
    """A rule, a terminal (in capitals), or a template's parameter."""

    name: str


@dataclass(frozen=True, slots=True)
class Use:
    """A template with its arguments."""

    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Json:
    """A JSON document of a schema, given as JSON text."""

    schema: str


@dataclass(frozen=True, slots=True)
class SpecialName:
    """A special token, by its text."""

    name: str


@dataclass(frozen=True, slots=True)
class Row:
    """Items one after another."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Alternatives:
    """Any one of the options."""

    options: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Counted:
    """The item, `low` to `high` times; without end when `high` is None."""

    item: Node
    low: int
    high: int | None


Node: TypeAlias = Quoted | Span | Name | Use | Json | SpecialName | Row | Alternatives | Counted


@dataclass(frozen=True, slots=True)
class Definition:
    """A rule, a template or a terminal."""

    name: str
    parameters: tuple[str, ...]
    body: Node
    manner: Literal["define", "override", "extend"]


@dataclass(frozen=True, slots=True)
class Ignored:
    """What may stand between terminals."""

    body: Node


@dataclass(frozen=True, slots=True)
class Import:
    """Names of another grammar, and what they are called here."""

    path: tuple[str, ...]
    names: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Declaration:
    """Terminals without a definition."""

    names: tuple[str, ...]


Statement: TypeAlias = Definition | Ignored | Import | Declaration

TOKENS = re.compile(
    r"""(?P<regex>/(?!/)(?:\\/|\\\\|[^/])*?/[imslux]*)
    |(?P<string>"(?:\\"|\\\\|[^"\n])*?"i?)
    |(?P<skip>\s*//[^\n]*|\s*\#[^\n]*|\\[ ]*\n|[ \t]+)
    |(?P<bar>(?:(?:\r?\n)+\s*)?\|)
    |(?P<newline>(?:\r?\n)+\s*)
    |(?P<json>%json\b)
    |(?P<ignore>%ignore\b)
    |(?P<import>%import\b)
    |(?P<override>%override\b)
    |(?P<extend>%extend\b)
    |(?P<declare>%declare\b)
    |(?P<special><[^<>\s]+>)
    |(?P<modifiers>(?:!\??|\?!?)(?=[_a-z]))
    |(?P<rule>_{0,2}[a-z][_a-z0-9]*)
    |(?P<terminal>_{0,2}[A-Z][_A-Z0-9]*)
    |(?P<number>[+-]?\d+)
    |(?P<operator>[+*?])
    |(?P<to>->)
    |(?P<dots>\.\.)
    |(?P<dot>\.)
    |(?P<tilde>~)
    |(?P<colon>:)
    |(?P<comma>,)
    |(?P<open>\()
    |(?P<close>\))
    |(?P<open_maybe>\[)
    |(?P<close_maybe>\])
    |(?P<open_brace>\{)
    |(?P<close_brace>\})""",
    re.VERBOSE,
)
ATOMS = ("string", "regex", "rule", "terminal", "json", "special", "open", "open_maybe")
OPERATORS: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}


def statements_of(text: str) -> list[Statement]:
    """Reads a grammar text.

    Priorities and aliases are read and left out: they say which of several derivations of a text is meant, and how
    its tree is shaped, not which texts there are.

    Raises:
        InvalidSpec: the text does not parse.
        UnsupportedConstraint: it uses a special token by its number.
        GrammarLimit: it is too long or nested too deeply.
    """
    try:
        return _Reader(text).statements()
    except RecursionError:
        raise GrammarLimit("lark: nested too deeply") from None


class _Reader:
    def __init__(self, text: str) -> None:
        self._scanner = Scanner("lark", text, TOKENS)

    def statements(self) -> list[Statement]:
        """Every statement of the text."""
        statements: list[Statement] = []
        while True:
            while self._scanner.take("newline") is not None:
                pass
            if self._scanner.take("end") is not None:
                return statements
            statements.append(self._statement())
            if self._scanner.peek().kind != "end":
                self._scanner.expect("newline")

    def _statement(self) -> Statement:
        if self._scanner.take("ignore") is not None:
            return Ignored(self._alternatives())
        if self._scanner.take("import") is not None:
            return self._import()
        if self._scanner.take("declare") is not None:
            names = [self._scanner.expect("rule", "terminal").text]
            while (token := self._scanner.take("rule", "terminal")) is not None:
                names.append(token.text)
            return Declaration(tuple(names))
        if self._scanner.take("override") is not None:
            return self._definition("override")
        if self._scanner.take("extend") is not None:
            return self._definition("extend")
        return self._definition("define")

    def _definition(self, manner: Literal["define", "override", "extend"]) -> Definition:
        modifiers = self._scanner.take("modifiers")
        name = self._scanner.expect(*(["rule"] if modifiers else ["rule", "terminal"]))
        parameters: list[str] = []
        if name.kind == "rule" and self._scanner.take("open_brace") is not None:
            parameters.append(self._scanner.expect("rule").text)
            while self._scanner.take("comma") is not None:
                parameters.append(self._scanner.expect("rule").text)
            self._scanner.expect("close_brace")
        if self._scanner.take("dot") is not None:
            self._scanner.expect("number")
        self._scanner.expect("colon")
        return Definition(name.text, tuple(parameters), self._alternatives(), manner)

    def _import(self) -> Import:
        path = ["."] if self._scanner.take("dot") is not None else []
        path.append(self._scanner.expect("rule", "terminal").text)
        while self._scanner.take("dot") is not None:
            path.append(self._scanner.expect("rule", "terminal").text)
        if self._scanner.take("open") is not None:
            names = [self._scanner.expect("rule", "terminal").text]
            while self._scanner.take("comma") is not None:
                names.append(self._scanner.expect("rule", "terminal").text)
            self._scanner.expect("close")
            return Import(tuple(path), tuple((name, name) for name in names))
        *path, name = path
        alias = name if self._scanner.take("to") is None else self._scanner.expect("rule", "terminal").text
        return Import(tuple(path), ((name, alias),))

    def _alternatives(self) -> Node:
        options = [self._row()]
        while self._scanner.take("bar") is not None:
            options.append(self._row())
        return options[0] if len(options) == 1 else Alternatives(tuple(options))

    def _row(self) -> Node:
        items: list[Node] = []
        while (token := self._scanner.take(*ATOMS)) is not None:
            items.append(self._counted(self._atom(token)))
        if self._scanner.take("to") is not None:
            self._scanner.expect("rule", "terminal")
        return items[0] if len(items) == 1 else Row(tuple(items))

    def _counted(self, item: Node) -> Node:
        if (operator := self._scanner.take("operator")) is not None:
            return Counted(item, *OPERATORS[operator.text])
        if self._scanner.take("tilde") is None:
            return item
        low = high = self._scanner.expect("number")
        if self._scanner.take("dots") is not None:
            high = self._scanner.expect("number")
        if len(low.text) > 9 or len(high.text) > 9:
            raise GrammarLimit(f"lark: {self._scanner.where(low.offset)}: a count of more than 9 digits")
        if not 0 <= int(low.text) <= int(high.text):
            self._scanner.fail(low, f"{low.text}..{high.text} is no range of counts")
        return Counted(item, int(low.text), int(high.text))

    def _atom(self, token: Token) -> Node:
        if token.kind in ("string", "regex"):
            return self._quoted(token)
        if token.kind == "json":
            return self._json(token)
        if token.kind == "special":
            if token.text.startswith("<["):
                raise UnsupportedConstraint(token.text, self._scanner.where(token.offset), "tokens go by their text")
            return SpecialName(token.text)
        if token.kind == "open":
            inner = self._alternatives()
            self._scanner.expect("close")
            return inner
        if token.kind == "open_maybe":
            inner = self._alternatives()
            self._scanner.expect("close_maybe")
            return Counted(inner, 0, 1)
        if token.kind == "rule" and self._scanner.take("open_brace") is not None:
            return self._use(token)
        return Name(token.text)

    def _quoted(self, token: Token) -> Node:
        quote = '"' if token.kind == "string" else "/"
        text, _, flags = token.text[1:].rpartition(quote)
        if token.kind == "regex":
            if "\n" in text and "x" not in flags:
                self._scanner.fail(token, "a regex of several lines needs the flag x")
            return Quoted("regex", text, flags)
        if self._scanner.take("dots") is None:
            return Quoted("string", text, flags)
        high = self._scanner.expect("string")
        if flags or high.text[-1] != '"':
            self._scanner.fail(token, "a range has no flags")
        return Span(text, high.text[1:-1])

    def _use(self, token: Token) -> Use:
        arguments = [self._argument()]
        while self._scanner.take("comma") is not None:
            arguments.append(self._argument())
        self._scanner.expect("close_brace")
        return Use(token.text, tuple(arguments))

    def _argument(self) -> Node:
        return self._atom(self._scanner.expect("string", "regex", "rule", "terminal", "json", "special"))

    def _json(self, token: Token) -> Json:
        text, start = self._scanner.text, self._scanner.offset
        while start < len(text) and text[start].isspace():
            start += 1
        try:
            _, end = json.JSONDecoder().raw_decode(text, start)
        except ValueError as error:
            self._scanner.fail(token, f"a JSON schema must follow ({error})")
        self._scanner.jump(end)
        return Json(text[start:end])
