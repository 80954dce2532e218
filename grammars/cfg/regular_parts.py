"""Finds what is regular in a grammar and makes one terminal of it, where terminals may end anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeGuard

from grammars.cfg.ebnf import EMPTY, Chain, Either, Expression, Repeated, chain, either
from grammars.cfg.rules import Call, Terminal
from grammars.errors import InvalidSpec

if TYPE_CHECKING:
    from grammars.regular.language import Language, Languages

__all__ = ["folded"]

MAX_PARTS = 400
"""Terminals that may be made one: a language's states are sets of places in it, and so grow with them."""


def folded(rules: Mapping[str, Expression], start: str, languages: Languages) -> dict[str, Expression]:
    """The same grammar with its regular parts, whole rules too, each made one terminal that may end anywhere.

    Rules that are part of others in this way are left out where nothing calls them any more.

    Raises:
        InvalidSpec: a rule is called that does not exist.
    """
    folding = _Folding(rules, languages)
    folding.rule(start)
    return folding.done


class _Folding:
    def __init__(self, rules: Mapping[str, Expression], languages: Languages) -> None:
        self.done: dict[str, Expression] = {}
        self._rules = rules
        self._languages = languages
        self._begun: set[str] = set()
        self._num_parts: dict[Terminal, int] = {}

    def rule(self, name: str) -> Expression | None:
        """What a rule is, folded; None while that is being found out, for a rule that calls itself."""
        if name in self._begun:
            return self.done.get(name)
        if name not in self._rules:
            raise InvalidSpec(f"grammar: there is no rule {name.rpartition('/')[2]}")
        self._begun.add(name)
        self.done[name] = expression = self._folded(self._rules[name])
        return expression

    def _folded(self, expression: Expression) -> Expression:
        if isinstance(expression, Call):
            called = self.rule(expression.rule)
            return called if _ends_anywhere(called) else expression
        if isinstance(expression, Chain):
            return self._chain([self._folded(item) for item in expression.items])
        if isinstance(expression, Either):
            return self._either([self._folded(option) for option in expression.options])
        if isinstance(expression, Repeated):
            item = self._folded(expression.item)
            if _ends_anywhere(item):
                language = self._languages.repeat(item.language, expression.low, expression.high)
                return self._made(language, [item])
            return Repeated(item, expression.low, expression.high)
        return expression

    def _chain(self, items: list[Expression]) -> Expression:
        joined: list[Expression] = []
        for item in items:
            last = joined[-1] if joined else None
            if _ends_anywhere(item) and _ends_anywhere(last) and self._fit([last, item]):
                joined[-1] = self._made(self._languages.concat(last.language, item.language), [last, item])
            else:
                joined.append(item)
        return chain(*joined)

    def _either(self, options: list[Expression]) -> Expression:
        regular = [option for option in options if _ends_anywhere(option)]
        others = [option for option in options if not _ends_anywhere(option)]
        if not regular or not self._fit(regular):
            return either(*options)
        languages = [option.language for option in regular]
        if set(others) == {EMPTY}:
            languages, others = [self._languages.epsilon, *languages], []
        return either(self._made(self._languages.union(*languages), regular), *others)

    def _fit(self, terminals: list[Terminal]) -> bool:
        return sum(self._num_parts.get(terminal, 1) for terminal in terminals) <= MAX_PARTS

    def _made(self, language: Language, parts: list[Terminal]) -> Terminal:
        terminal = Terminal(language, greedy=False)
        self._num_parts[terminal] = max(
            sum(self._num_parts.get(part, 1) for part in parts), self._num_parts.get(terminal, 1)
        )
        return terminal


def _ends_anywhere(expression: Expression | None) -> TypeGuard[Terminal]:
    return isinstance(expression, Terminal) and not expression.greedy
