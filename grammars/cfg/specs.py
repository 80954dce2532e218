"""Any spec as rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grammars.cfg.ebnf import Chain, Ebnf, Either, Expression, Repeated, chain, either
from grammars.cfg.gbnf import ebnf_of_gbnf
from grammars.cfg.lark import ebnf_of_lark
from grammars.cfg.progress import rules_of_ebnf
from grammars.cfg.regular_parts import folded
from grammars.cfg.rules import Call, Embedded, Rules, Special, Terminal
from grammars.cfg.tags import free_text, tag_rules, up_to
from grammars.errors import GrammarLimit, UnsupportedConstraint
from grammars.regular.patterns import pattern_language
from grammars.spec import (
    AnyOf,
    Choice,
    FreeText,
    Gbnf,
    JsonObject,
    JsonSchema,
    Lark,
    Part,
    Regex,
    Repeat,
    Sequence,
    Spec,
    SpecialToken,
    Stop,
    StructuralTag,
    Suffix,
)

if TYPE_CHECKING:
    from grammars.regular.language import Language, Languages

__all__ = ["rules_of"]

START = "text"


def rules_of(spec: Spec, languages: Languages) -> Rules:
    """The rules of a spec, ready for the machine. JSON schemas are left as `Embedded`, unread.

    Raises:
        InvalidSpec: a pattern or grammar does not parse, or has no text at all.
        UnsupportedConstraint: it asks for what cannot be held to.
        GrammarLimit: it is too large or nested too deeply.
    """
    try:
        composer = _Composer(languages)
        composer.rules[START] = composer.expression(spec)
        rules = folded(composer.rules, START, languages)
        return rules_of_ebnf(Ebnf(START, rules, tuple(composer.warnings)), languages)
    except RecursionError:
        raise GrammarLimit(f"{type(spec).__name__}: nested too deeply") from None


class _Composer:
    """Puts grammars of several specs into one; the rules of each get a prefix."""

    def __init__(self, languages: Languages) -> None:
        self.rules: dict[str, Expression] = {}
        self.warnings: list[str] = []
        self._languages = languages
        self._found: dict[Spec, Expression] = {}
        self._num_grammars = 0

    def expression(self, spec: Spec) -> Expression:
        """What a spec is; grammars become calls of their first rule."""
        found = self._found.get(spec)
        if found is None:
            found = self._found[spec] = self._expression(spec)
        return found

    def _expression(self, spec: Spec) -> Expression:
        if isinstance(spec, JsonSchema):
            return Embedded(spec)
        if isinstance(spec, JsonObject):
            return Embedded(spec.schema())
        if isinstance(spec, SpecialToken):
            return Special(spec.name)
        if isinstance(spec, Lark):
            return self._grammar(ebnf_of_lark(spec, self._languages))
        if isinstance(spec, Gbnf):
            return self._grammar(ebnf_of_gbnf(spec, self._languages))
        if isinstance(spec, StructuralTag):
            name = f"{self._prefix()}tags"
            self.rules |= tag_rules(spec, name, self._languages, self.expression)
            return Call(name)
        if isinstance(spec, Regex | Choice | FreeText | Stop):
            return Terminal(self._language(spec), greedy=False)
        return self._combined(spec)

    def _combined(self, spec: Sequence | AnyOf | Repeat | Suffix) -> Expression:
        if isinstance(spec, Sequence):
            return chain(*map(self._part, spec.parts))
        if isinstance(spec, Suffix):
            return chain(self.expression(spec.spec), self._part(spec.suffix))
        if isinstance(spec, AnyOf):
            return either(*map(self.expression, spec.options))
        if spec.high == 0:
            return chain()
        return Repeated(self.expression(spec.spec), spec.low, spec.high)

    def _part(self, part: Part) -> Expression:
        if isinstance(part, str):
            return Terminal(self._languages.literal(part), greedy=False)
        return self.expression(part)

    def _language(self, spec: Spec) -> Language:
        if isinstance(spec, Regex):
            return pattern_language(self._languages, spec.pattern)
        if isinstance(spec, Choice):
            return self._languages.literals(spec.options)
        if isinstance(spec, FreeText):
            return free_text(self._languages, spec.excludes)
        if isinstance(spec, Stop):
            before = None if spec.spec is None else self._language(spec.spec)
            return up_to(self._languages, spec.stops, spec.stops, before)
        kind = type(spec).__name__
        raise UnsupportedConstraint("stops", kind, "only Regex, Choice and FreeText can be held to end at a stop")

    def _grammar(self, ebnf: Ebnf) -> Call:
        prefix = self._prefix()
        self.rules |= {f"{prefix}{name}": _prefixed(body, prefix) for name, body in ebnf.rules.items()}
        self.warnings += ebnf.warnings
        return Call(prefix + ebnf.start)

    def _prefix(self) -> str:
        self._num_grammars += 1
        return f"{self._num_grammars}/"


def _prefixed(expression: Expression, prefix: str) -> Expression:
    if isinstance(expression, Call):
        return Call(prefix + expression.rule)
    if isinstance(expression, Chain):
        return Chain(tuple(_prefixed(item, prefix) for item in expression.items))
    if isinstance(expression, Either):
        return Either(tuple(_prefixed(option, prefix) for option in expression.options))
    if isinstance(expression, Repeated):
        return Repeated(_prefixed(expression.item, prefix), expression.low, expression.high)
    return expression
