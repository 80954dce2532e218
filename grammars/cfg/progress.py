"""Productions without left recursion: every chain of calls reads something before it comes back to a rule.

First, whatever derives nothing is dropped. Then every rule is split into the empty text and a rule for its other
texts, whose productions all begin with a symbol that reads something; so nothing hides behind what may be empty.
Rules that still call each other at their left edge are turned round by the left-corner transform (Rosenkrantz & Lewis
1970; restricted to left-recursive rules as in Moore 2000), which keeps the language and grows with the square of the
number of such rules at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeAlias

from grammars.cfg.components import components
from grammars.cfg.ebnf import MAX_SYMBOLS, Ebnf, Lowering
from grammars.cfg.factor import factored
from grammars.cfg.rules import Call, Production, Rules, Symbol, Terminal
from grammars.errors import GrammarLimit, InvalidSpec

if TYPE_CHECKING:
    from grammars.regular.language import Languages

__all__ = ["rules_of_ebnf"]

Table: TypeAlias = dict[str, tuple[Production, ...]]
MAX_PREFIX = 4
"""Symbols in front of a production that may be empty, before it is cut up: each of them makes a production more."""


def rules_of_ebnf(ebnf: Ebnf, languages: Languages) -> Rules:
    """Rewrites a grammar for a machine that reads from left to right; the language stays the same.

    Raises:
        InvalidSpec: a rule is called that does not exist, or no text can be derived from the start rule.
        GrammarLimit: the rules are too large, before or after rewriting.
    """
    written = Lowering(ebnf.rules).productions
    _check_calls(written, ebnf.start)
    productive = _productive(written, languages)
    if ebnf.start not in productive:
        raise InvalidSpec(f"grammar: no text can be derived from rule {ebnf.start}")
    progress = _Progress(_reachable(productive, ebnf.start), ebnf.start, languages)
    table = _reachable(_productive(progress.table(), languages), ebnf.start)
    table = _reachable(factored(_collapsed(table, ebnf.start)), ebnf.start)
    return Rules(ebnf.start, _collapsed(table, ebnf.start), ebnf.warnings)


class _Progress:
    """The two steps that leave no left recursion. A rule's name with `+` stands for its non-empty texts."""

    def __init__(self, table: Table, start: str, languages: Languages) -> None:
        self._start = start
        self._languages = languages
        self._num_symbols = 0
        nullable = _nullable(table)
        self._table: dict[str, tuple[Production, ...]] = dict.fromkeys(table, ())
        for name, productions in table.items():
            for production in productions:
                self._add(name, production, nullable)
        self._nullable = _nullable(self._table)

    def table(self) -> Table:
        """The rules rewritten."""
        firm = {
            self._firm_name(name): self._counted(
                variant
                for production in productions
                for variant in self._firm(production)
                if variant != (Call(self._firm_name(name)),)
            )
            for name, productions in self._table.items()
        }
        edges = {
            name: [first.rule for first, *_ in productions if isinstance(first, Call)]
            for name, productions in firm.items()
        }
        for component in components(edges):
            if len(component) > 1 or component[0] in edges[component[0]]:
                firm |= self._turned(component, firm)
        return firm | {name: (*firm[self._firm_name(name)], ()) for name in self._nullable}

    def _firm_name(self, name: str) -> str:
        return f"{name}+" if name in self._nullable else name

    def _counted(self, productions: Iterable[Production]) -> tuple[Production, ...]:
        kept = tuple(dict.fromkeys(productions))
        self._num_symbols += sum(len(production) + 1 for production in kept)
        if self._num_symbols > MAX_SYMBOLS:
            raise GrammarLimit(f"grammar: more than {MAX_SYMBOLS} symbols in its rules without left recursion")
        return kept

    def _may_be_empty(self, symbol: Symbol) -> bool:
        if isinstance(symbol, Call):
            return symbol.rule in self._nullable
        return isinstance(symbol, Terminal) and symbol.language.nullable

    def _add(self, name: str, production: Production, nullable: set[str]) -> None:
        """Adds a production, cut up so that at most `MAX_PREFIX` symbols and a call in front may be empty."""
        while len(production) > MAX_PREFIX + 1 and all(
            symbol.rule in nullable if isinstance(symbol, Call) else self._may_be_empty(symbol)
            for symbol in production[: MAX_PREFIX + 1]
        ):
            rest = f"{name}~{len(self._table)}"
            self._table[name] += ((*production[:MAX_PREFIX], Call(rest)),)
            self._table[rest] = ()
            name, production = rest, production[MAX_PREFIX:]
        self._table[name] += (production,)

    def _firm(self, production: Production) -> Iterator[Production]:
        """The non-empty texts of a production, by the first symbol that is not empty."""
        for index, symbol in enumerate(production):
            if isinstance(symbol, Call):
                yield (Call(self._firm_name(symbol.rule)), *production[index + 1 :])
            elif isinstance(symbol, Terminal) and symbol.language.nullable:
                some = self._languages.complement(self._languages.epsilon)
                language = self._languages.intersect(symbol.language, some)
                if not self._languages.is_empty(language):
                    yield (Terminal(language, symbol.greedy), *production[index + 1 :])
            else:
                yield production[index:]
            if not self._may_be_empty(symbol):
                return

    def _turned(self, component: list[str], table: Table) -> Table:
        """The rules of a component by the left-corner transform.

        `A<B` derives what may follow a text of B where it begins a text of A.
        """
        members = set(component)
        seeds: list[tuple[str, Production]] = []
        above: dict[str, list[tuple[str, Production]]] = {name: [] for name in component}
        for name in component:
            for production in table[name]:
                first = production[0]
                if isinstance(first, Call) and first.rule in members:
                    above[first.rule].append((name, production[1:]))
                else:
                    seeds.append((name, production))
        turned: Table = {}
        for goal in self._goals(members, table):
            turned[goal] = self._counted((*seed, Call(f"{goal}<{name}")) for name, seed in seeds)
            for name in component:
                steps = self._climbed(name, above)
                productions = [
                    (*variant, Call(f"{goal}<{parent}"))
                    for step in steps
                    for parent, rest in above[step]
                    for variant in self._firm(rest)
                ]
                turned[f"{goal}<{name}"] = self._counted([*productions, ()] if goal in steps else productions)
        return turned

    def _goals(self, members: set[str], table: Table) -> list[str]:
        """The rules of a component that are called otherwise than at its own left edges."""
        called = {self._firm_name(self._start)}
        for name, productions in table.items():
            for production in productions:
                rest = production[1:] if name in members else production
                called.update(self._firm_name(symbol.rule) for symbol in rest if isinstance(symbol, Call))
        return sorted(called & members)

    def _climbed(self, name: str, above: Mapping[str, list[tuple[str, Production]]]) -> list[str]:
        """The rules that a text of rule `name` is a text of already, itself included."""
        found = [name]
        for step in found:
            for parent, rest in above[step]:
                if parent not in found and all(map(self._may_be_empty, rest)):
                    found.append(parent)
        return found


def _check_calls(table: Table, start: str) -> None:
    if start not in table:
        raise InvalidSpec(f"grammar: there is no rule {start.rpartition('/')[2]}")
    for name, productions in table.items():
        for symbol in _symbols(productions):
            if isinstance(symbol, Call) and symbol.rule not in table:
                raise InvalidSpec(f"grammar: rule {name.partition('#')[0]} uses {symbol.rule}, which is not defined")


def _symbols(productions: Iterable[Production]) -> Iterator[Symbol]:
    return (symbol for production in productions for symbol in production)


def _productive(table: Table, languages: Languages) -> Table:
    """The productions from which some text can be derived, of the rules that have any."""
    empty: dict[Symbol, bool] = {}
    for symbol in _symbols(production for productions in table.values() for production in productions):
        if isinstance(symbol, Terminal) and symbol not in empty:
            empty[symbol] = languages.is_empty(symbol.language)
    known = _closure(table, lambda symbol: not empty.get(symbol, False))

    def holds(symbol: Symbol) -> bool:
        return symbol.rule in known if isinstance(symbol, Call) else not empty.get(symbol, False)

    return {
        name: tuple(production for production in productions if all(map(holds, production)))
        for name, productions in table.items()
        if name in known
    }


def _nullable(table: Table) -> set[str]:
    """The rules that derive the empty text."""
    return _closure(table, lambda symbol: isinstance(symbol, Terminal) and symbol.language.nullable)


def _closure(table: Table, holds: Callable[[Symbol], bool]) -> set[str]:
    """The least set of rules that have a production in which every symbol holds or calls a rule of the set."""
    waiting: dict[str, list[tuple[str, set[str]]]] = {}
    found: set[str] = set()
    agenda: list[str] = []
    for name, productions in table.items():
        for production in productions:
            calls = {symbol.rule for symbol in production if isinstance(symbol, Call)}
            if not all(isinstance(symbol, Call) or holds(symbol) for symbol in production):
                continue
            for call in calls:
                waiting.setdefault(call, []).append((name, calls))
            if not calls:
                agenda.append(name)
    while agenda:
        called = agenda.pop()
        if called in found:
            continue
        found.add(called)
        for name, missing in waiting.get(called, ()):
            missing.discard(called)
            if not missing:
                agenda.append(name)
    return found


def _reachable(table: Table, start: str) -> Table:
    kept: Table = {}
    agenda = [start]
    while agenda:
        name = agenda.pop()
        if name not in kept:
            kept[name] = table[name]
            agenda.extend(symbol.rule for symbol in _symbols(table[name]) if isinstance(symbol, Call))
    return kept


def _collapsed(table: Table, start: str) -> Table:
    """Replaces calls of rules that are but one symbol, and drops these rules."""

    def behind(symbol: Symbol) -> Symbol:
        while isinstance(symbol, Call) and len(table[symbol.rule]) == 1 and len(table[symbol.rule][0]) == 1:
            symbol = table[symbol.rule][0][0]
        return symbol

    collapsed = {
        name: tuple(dict.fromkeys(tuple(map(behind, production)) for production in productions))
        for name, productions in table.items()
    }
    return _reachable(collapsed, start)
