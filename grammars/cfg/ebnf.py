"""Grammar expressions with choice and repetition, and how they become plain productions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from grammars.cfg.rules import Call, Embedded, Production, Special, Symbol, Terminal
from grammars.errors import GrammarLimit

__all__ = ["EMPTY", "MAX_SYMBOLS", "Chain", "Ebnf", "Either", "Expression", "Lowering", "Repeated", "chain", "either"]

MAX_SYMBOLS = 100_000
"""Symbols in all productions of one grammar together."""
MAX_FLAT = 16
"""Repetitions up to this count are written out; longer ones are halved until they are that short."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Items one after another; the empty text when there is none."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """Any one of the options."""

    options: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Repeated:
    """The item, `low` to `high` times; without end when `high` is None."""

    item: Expression
    low: int
    high: int | None


Expression: TypeAlias = Symbol | Chain | Either | Repeated
EMPTY = Chain(())


def chain(*items: Expression) -> Expression:
    """Items one after another, flattened."""
    flat: list[Expression] = []
    for item in items:
        flat.extend(item.items if isinstance(item, Chain) else (item,))
    return flat[0] if len(flat) == 1 else Chain(tuple(flat))


def either(*options: Expression) -> Expression:
    """Any one of the options, flattened, each once."""
    flat: dict[Expression, None] = {}
    for option in options:
        flat.update(dict.fromkeys(option.options if isinstance(option, Either) else (option,)))
    return next(iter(flat)) if len(flat) == 1 else Either(tuple(flat))


@dataclass(frozen=True, slots=True)
class Ebnf:
    """A grammar as written: expressions by the name of their rule."""

    start: str
    rules: Mapping[str, Expression]
    warnings: tuple[str, ...] = ()


class Lowering:
    """Rewrites expressions as productions; repetition becomes helper rules that call themselves last.

    A helper is named after the rule it was first needed in, with `#` and a number.

    Args:
        rules: the grammar's rules.

    Raises:
        GrammarLimit: there are more than `MAX_SYMBOLS` symbols.
    """

    def __init__(self, rules: Mapping[str, Expression]) -> None:
        self.productions: dict[str, tuple[Production, ...]] = {}
        self._helpers: dict[Expression, Call] = {}
        self._num_symbols = 0
        self._owner = ""
        for name, expression in rules.items():
            self._owner = name
            self._define(name, self._alternatives(expression))

    def _define(self, name: str, alternatives: list[Production]) -> None:
        kept = tuple(dict.fromkeys(alternatives))
        self._num_symbols += sum(len(production) + 1 for production in kept)
        if self._num_symbols > MAX_SYMBOLS:
            raise GrammarLimit(f"grammar: more than {MAX_SYMBOLS} symbols in its rules")
        self.productions[name] = kept

    def _alternatives(self, expression: Expression) -> list[Production]:
        if isinstance(expression, Either):
            return [production for option in expression.options for production in self._alternatives(option)]
        if isinstance(expression, Chain):
            return [tuple(symbol for item in expression.items for symbol in self._symbols(item))]
        if isinstance(expression, Repeated):
            return self._repetition(expression)
        return [(expression,)]

    def _symbols(self, expression: Expression) -> Production:
        """The expression as symbols in a row."""
        if isinstance(expression, Terminal | Call | Embedded | Special):
            return (expression,)
        if isinstance(expression, Chain):
            return tuple(symbol for item in expression.items for symbol in self._symbols(item))
        if isinstance(expression, Repeated) and expression.low == expression.high and expression.low <= MAX_FLAT:
            return self._symbols(expression.item) * expression.low
        return (self._helper(expression),)

    def _helper(self, expression: Expression) -> Call:
        found = self._helpers.get(expression)
        if found is None:
            found = self._helpers[expression] = Call(f"{self._owner}#{len(self._helpers) + 1}")
            self._define(found.rule, self._alternatives(expression))
        return found

    def _repetition(self, repeated: Repeated) -> list[Production]:
        item, low, high = repeated.item, repeated.low, repeated.high
        if low:
            if high == low:
                return [self._exactly(item, low)]
            rest = Repeated(item, 0, None if high is None else high - low)
            return [(*self._exactly(item, low), *self._symbols(rest))]
        if high is None:
            return [(*self._symbols(item), self._helper(repeated)), ()]
        return self._at_most(item, high)

    def _exactly(self, item: Expression, count: int) -> Production:
        if count <= MAX_FLAT:
            return self._symbols(item) * count
        half = self._helper(Repeated(item, count // 2, count // 2))
        return (half, half, *(self._symbols(item) if count % 2 else ()))

    def _at_most(self, item: Expression, count: int) -> list[Production]:
        if count == 0:
            return [()]
        if count <= MAX_FLAT:
            return [(*self._symbols(item), *self._symbols(Repeated(item, 0, count - 1))), ()]
        # Every count is derived in one way only: with the first half, or without.
        half = (count + 1) // 2
        first, rest = Repeated(item, half, half), Repeated(item, 0, count - half)
        return [(*self._symbols(first), *self._symbols(rest)), self._symbols(Repeated(item, 0, half - 1))]
