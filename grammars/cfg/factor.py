"""Productions of a rule that begin alike share that beginning, so that it is read once.

A machine that follows all ways to read a text keeps a stack for each. With `power: atom | atom "**" power` and
parentheses inside `atom`, there would be twice as many with every parenthesis; with `power: atom rest` there is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import takewhile

from grammars.cfg.components import components
from grammars.cfg.rules import Call, Production, Symbol

__all__ = ["factored"]

MAX_ALTERNATIVES = 64
"""Productions of one rule beyond which no more calls in it are replaced by what they call."""
MAX_GROWTH = 10
"""How many symbols may be added for each that was there; there may be no end to it in an ambiguous grammar."""


def factored(table: Mapping[str, tuple[Production, ...]]) -> dict[str, tuple[Production, ...]]:
    """The same rules without two productions of one rule that begin with the same symbol.

    Calls are replaced by what they call where that would otherwise begin alike further down: with a rule another
    production begins with, or both with a rule that may be inside itself. There must be no left recursion.
    """
    return _Factoring(table).done


class _Factoring:
    def __init__(self, table: Mapping[str, tuple[Production, ...]]) -> None:
        self.done: dict[str, tuple[Production, ...]] = {}
        self._table = table
        self._corners: dict[str, frozenset[str]] = {}
        self._shared: dict[tuple[Production, ...], Call] = {}
        calls = {
            name: [symbol.rule for production in productions for symbol in production if isinstance(symbol, Call)]
            for name, productions in table.items()
        }
        self._nested = {
            name for component in components(calls) for name in component if len(component) > 1 or name in calls[name]
        }
        self._room = 1000 + MAX_GROWTH * sum(map(_num_symbols, table.values()))
        self._waiting = list(table.items())
        while self._waiting:
            name, productions = self._waiting.pop()
            self.done[name] = self._grouped(name, self._opened(productions))

    def _grouped(self, name: str, productions: Iterable[Production]) -> tuple[Production, ...]:
        groups: dict[Symbol | None, list[Production]] = {}
        for production in dict.fromkeys(productions):
            groups.setdefault(production[0] if production else None, []).append(production)
        return tuple(self._joined(name, group) for group in groups.values())

    def _joined(self, name: str, group: list[Production]) -> Production:
        if len(group) == 1:
            return group[0]
        columns = zip(*group, strict=False)
        prefix = tuple(column[0] for column in takewhile(lambda column: len(set(column)) == 1, columns))
        rests = tuple(production[len(prefix) :] for production in group)
        if rests not in self._shared:
            self._shared[rests] = Call(f"{name.partition('|')[0]}|{len(self._shared) + 1}")
            self._waiting.append((self._shared[rests].rule, rests))
        return (*prefix, self._shared[rests])

    def _opened(self, productions: tuple[Production, ...]) -> tuple[Production, ...]:
        """Productions with calls replaced where another production begins with what they lead to."""
        while len(productions) < MAX_ALTERNATIVES and self._room > 0:
            firsts = {first.rule for first, *_ in filter(None, productions) if isinstance(first, Call)}
            outer = next((name for name in sorted(firsts) if self._leads_elsewhere(name, firsts)), None)
            if outer is None:
                break
            before = _num_symbols(productions)
            productions = tuple(
                replaced
                for production in productions
                for replaced in (
                    ((*inner, *production[1:]) for inner in self._table[outer])
                    if production and production[0] == Call(outer)
                    else (production,)
                )
            )
            self._room -= max(1, _num_symbols(productions) - before)
        return productions

    def _leads_elsewhere(self, name: str, firsts: set[str]) -> bool:
        """Whether a text of a rule may begin with one of `firsts`, or with some nested rule that one of them may."""
        own = self._corners_of(name)
        others = frozenset[str]().union(*(self._corners_of(other) for other in firsts if other != name))
        return bool(own & firsts or own & others & self._nested)

    def _corners_of(self, name: str) -> frozenset[str]:
        """The rules that a text of a rule may begin with a text of, itself not included."""
        found = self._corners.get(name)
        if found is None:
            firsts = {first.rule for first, *_ in filter(None, self._table.get(name, ())) if isinstance(first, Call)}
            found = frozenset(firsts).union(*map(self._corners_of, firsts))
            self._corners[name] = found
        return found


def _num_symbols(productions: Iterable[Production]) -> int:
    return sum(len(production) + 1 for production in productions)
