"""Context-free rules on the pushdown: what is left of a production is a state, and a frame where a rule was called."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from grammars.cfg.rules import Call, Embedded, Production, Rules, Special, Symbol, Terminal
from grammars.errors import GrammarLimit, InvalidSpec
from grammars.machine.clipper import clipper
from grammars.machine.layout import CONSUMED, FINAL, FORK
from grammars.machine.lexeme import Lexemes
from grammars.machine.machine import Machine
from grammars.machine.trie import special_bytes
from grammars.regular.language import Languages
from grammars.spec import JsonSchema

__all__ = ["RuleFrames"]

MAX_STARTS = 20_000
"""Ways one place may begin; beyond, the grammar is too large."""


class _Start(NamedTuple):
    """One way a place may go on: a state that reads the first byte, and the frames open around it."""

    state: int
    frames: tuple[int, ...]


class RuleFrames:
    """Makes the states and frames of rules.

    Args:
        machine: where they are made.
        rules: the grammar.
        languages: of its terminals.
        embedded: the state in which a document of an embedded schema begins.
    """

    def __init__(
        self, machine: Machine, rules: Rules, languages: Languages, embedded: Callable[[JsonSchema], int]
    ) -> None:
        self._machine = machine
        self._rules = rules
        self._embedded = embedded
        twin = clipper(languages)
        self._lexemes = {greedy: Lexemes(machine, "plain", greedy=greedy, twin=twin) for greedy in (False, True)}
        self._states: dict[Production, int] = {}
        self._frames: dict[Production, int] = {}
        self._specials: dict[str, int] = {}
        self._documents: dict[JsonSchema, int] = {}
        self._starts: dict[str, tuple[tuple[_Start, ...], bool]] = {}
        for symbol in dict.fromkeys(symbol for ways in rules.productions.values() for way in ways for symbol in way):
            if isinstance(symbol, Special | Embedded):
                self._symbol(symbol)  # what is wrong with it is said now

    def root(self) -> int:
        """The state in which a whole text begins."""
        return self._state((Call(self._rules.start),))

    def _state(self, rest: Production) -> int:
        """The state before what is left of a production."""
        found = self._states.get(rest)
        if found is None:
            found = self._states[rest] = self._machine.state(0, lambda state: self._expand(state, rest))
        return found

    def _frame(self, rest: Production) -> int:
        """The frame of a rule that was called with `rest` left behind it."""
        found = self._frames.get(rest)
        if found is None:
            found = self._frames[rest] = self._machine.frame(self._state(rest), CONSUMED)
        return found

    def _expand(self, state: int, rest: Production) -> None:
        moves: dict[int, list[int]] = {}
        starts, may_end = self._ways(rest, ())
        for start in dict.fromkeys(starts):
            for byte, move in self._machine.moves_of(start.state).items():
                moves.setdefault(byte, []).append(self._machine.wrapped(move, start.frames))
        if may_end:
            self._machine.add_flags(state, FINAL | FORK)
        self._machine.set_edges(state, {byte: self._machine.multi(these) for byte, these in moves.items()})

    def _ways(self, rest: Production, frames: tuple[int, ...]) -> tuple[list[_Start], bool]:
        """How `rest` may begin inside `frames`, and whether it may be empty."""
        found: list[_Start] = []
        for index, symbol in enumerate(rest):
            behind = rest[index + 1 :]
            inside = (*frames, self._frame(behind)) if behind else frames
            starts, may_be_empty = self._symbol(symbol)
            found += [_Start(start.state, inside + start.frames) for start in starts]
            if len(found) > MAX_STARTS:
                raise GrammarLimit(f"grammar: more than {MAX_STARTS} ways to begin at one place")
            if not may_be_empty:
                return found, False
        return found, True

    def _symbol(self, symbol: Symbol) -> tuple[tuple[_Start, ...], bool]:
        """How a symbol may begin, and whether it may be empty."""
        if isinstance(symbol, Terminal):
            state = self._lexemes[symbol.greedy].state(symbol.language)
            return (_Start(state, ()),), symbol.language.nullable
        if isinstance(symbol, Embedded):
            if symbol.spec not in self._documents:
                self._documents[symbol.spec] = self._embedded(symbol.spec)
            return (_Start(self._documents[symbol.spec], ()),), False
        if isinstance(symbol, Special):
            return (_Start(self._special(symbol.name), ()),), False
        known = self._starts.get(symbol.rule)
        if known is None:
            starts: dict[_Start, None] = {}
            may_be_empty = False
            for production in self._rules.productions[symbol.rule]:
                found, is_empty = self._ways(production, ())
                starts.update(dict.fromkeys(found))
                may_be_empty = may_be_empty or is_empty
            known = self._starts[symbol.rule] = tuple(starts), may_be_empty
        return known

    def _special(self, name: str) -> int:
        """The state before a special token."""
        found = self._specials.get(name)
        if found is None:
            token = self._machine.tables.vocabulary.special.get(name)
            if token is None:
                raise InvalidSpec(f"special token: the vocabulary has no {name!r}")
            found = self._specials[name] = self._machine.literal(special_bytes(token))
        return found
