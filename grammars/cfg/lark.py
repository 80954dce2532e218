"""Lark grammars: rules over terminals that each take what Python's `re` would take.

What is accepted is what `lark.Lark(text, parser="earley", lexer="dynamic")` parses: terminals do not compete for a
text, so a keyword may be read as a name too, and ignored terminals may stand before and after every terminal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from grammars.cfg.ebnf import EMPTY, Ebnf, Expression, Repeated, chain, either
from grammars.cfg.lark_definitions import Definitions
from grammars.cfg.lark_terminals import Pattern, Patterns
from grammars.cfg.lark_text import Alternatives, Counted, Json, Name, Node, Row, SpecialName, Use
from grammars.cfg.lexeme import lexeme_language
from grammars.cfg.rules import Call, Embedded, Special, Terminal
from grammars.errors import GrammarLimit, InvalidSpec
from grammars.spec import JsonSchema

if TYPE_CHECKING:
    from grammars.regular.language import Languages
    from grammars.spec import Lark

__all__ = ["ebnf_of_lark"]

START = "start"
TEXT, IGNORED = ":text", ":ignored"
"""Rules of our own; `:` is in no name of a grammar's."""
MAX_RULES = 10_000
"""Rules of one grammar, templates counted once for each combination of arguments."""


def ebnf_of_lark(spec: Lark, languages: Languages) -> Ebnf:
    """Reads a grammar. Terminals and rules that `start` does not need are not looked into.

    Raises:
        InvalidSpec: the text does not parse, something is missing or defined twice, or a terminal matches the empty
            text.
        UnsupportedConstraint: it uses what cannot be held to: lookahead, references, a grammar from elsewhere.
        GrammarLimit: it is too large or nested too deeply.
    """
    definitions = Definitions.of_text(spec.text)
    try:
        return _Builder(definitions, languages).ebnf()
    except RecursionError:
        raise GrammarLimit("lark: nested too deeply") from None


class _Builder:
    def __init__(self, definitions: Definitions, languages: Languages) -> None:
        self._definitions = definitions
        self._languages = languages
        self._patterns = Patterns(definitions.terminals)
        self._lexemes: dict[Pattern, Terminal] = {}
        self._rules: dict[str, Expression] = {}
        self._waiting: list[tuple[str, Node]] = []
        self._ignored: Expression = EMPTY

    def ebnf(self) -> Ebnf:
        """The grammar with every rule that can be reached."""
        ignored = [self._lexeme(self._patterns.of(node), "an ignored terminal") for node in self._definitions.ignored]
        if ignored:
            self._rules[IGNORED] = Repeated(either(*ignored), 0, None)
            self._ignored = Call(IGNORED)
        start = self._call(START, ())
        while self._waiting:
            name, body = self._waiting.pop()
            self._rules[name] = self._expression(body)
        self._rules[TEXT] = chain(self._ignored, start)
        return Ebnf(TEXT, self._rules)

    def _expression(self, node: Node) -> Expression:
        if isinstance(node, Row):
            return chain(*map(self._expression, node.items))
        if isinstance(node, Alternatives):
            return either(*map(self._expression, node.options))
        if isinstance(node, Counted):
            return EMPTY if node.high == 0 else Repeated(self._expression(node.item), node.low, node.high)
        if isinstance(node, Use):
            return self._call(node.name, node.arguments)
        if isinstance(node, Name) and not node.name.strip("_")[0].isupper():
            return self._call(node.name, ())
        return chain(self._terminal(node), self._ignored)

    def _terminal(self, node: Node) -> Expression:
        if isinstance(node, Json):
            return Embedded(JsonSchema(node.schema))
        if isinstance(node, SpecialName):
            return Special(node.name)
        name = f"terminal {node.name}" if isinstance(node, Name) else "a terminal"
        return self._lexeme(self._patterns.of(node), name)

    def _lexeme(self, pattern: Pattern, name: str) -> Terminal:
        found = self._lexemes.get(pattern)
        if found is None:
            plain = pattern.plain and not pattern.flags
            language = (
                self._languages.literal(pattern.value) if plain else lexeme_language(self._languages, pattern.regex())
            )
            if language.nullable:
                raise InvalidSpec(f"lark: {name} ({pattern.regex()[:60]}) matches the empty text")
            found = self._lexemes[pattern] = Terminal(language, greedy=True)
        return found

    def _call(self, name: str, arguments: tuple[Node, ...]) -> Call:
        """A call of a rule, which is put down to be read, or of a template's rule for these arguments."""
        rule = self._definitions.rules.get(name)
        if rule is None:
            raise InvalidSpec(f"lark: rule {name} is missing")
        if len(arguments) != len(rule.parameters):
            raise InvalidSpec(f"lark: {name} takes {len(rule.parameters)} arguments, not {len(arguments)}")
        full = f"{name}{{{', '.join(map(repr, arguments))}}}" if arguments else name
        if full not in self._rules:
            if len(self._rules) >= MAX_RULES:
                raise GrammarLimit(f"lark: more than {MAX_RULES} rules")
            self._rules[full] = EMPTY
            self._waiting.append((full, substituted(rule.body, dict(zip(rule.parameters, arguments, strict=True)))))
        return Call(full)


def substituted(node: Node, bound: Mapping[str, Node]) -> Node:
    """A template's body with arguments for its parameters."""
    if not bound:
        return node
    if isinstance(node, Name):
        return bound.get(node.name, node)
    if isinstance(node, Row):
        return Row(tuple(substituted(item, bound) for item in node.items))
    if isinstance(node, Alternatives):
        return Alternatives(tuple(substituted(option, bound) for option in node.options))
    if isinstance(node, Counted):
        return Counted(substituted(node.item, bound), node.low, node.high)
    if isinstance(node, Use):
        name = bound.get(node.name)
        arguments = tuple(substituted(argument, bound) for argument in node.arguments)
        return Use(name.name if isinstance(name, Name) else node.name, arguments)
    return node
