from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from grammars import Matcher, Vocabulary, unpack
from grammars.machine.engine import MachineEngine
from grammars.machine.grammar import MachineGrammar
from grammars.machine.kernels import Kernels, plain_kernels
from grammars.machine.machine import Machine

Allowed = Callable[[Matcher], set[int]]

EDGES = [0, 8, 9, 0x1F, 0x20, 0x22, 0x23, 0x2F, 0x30, 0x5C, 0x5D, 0x61, 0x62, 0x7F, 0x80, 0xE9, 0x7FF, 0x800, 0xD7FF]
EDGES += [0xE000, 0xFFFF, 0x10000, 0x103FF, 0x10400, 0x1F600, 0x1F601, 0x10FC00, 0x10FFFF]
"""Where characters begin to be spelled otherwise."""
ROWS = [(), (0x61,), (0x61, 0x62), (0x22, 0x30, 0x61), (0x20,), (0x20, 0x7F, 0x80), (0, 0x20, 0x61, 0x10000), (0x800,)]


class CharAutomaton:
    """A state of a random automaton over characters; see `grammars.machine.spelling.CharState`."""

    def __init__(self, nullable: bool) -> None:
        self.nullable = nullable
        self.ranges: list[tuple[int, int, CharAutomaton]] = []

    def moves(self) -> tuple[tuple[int, int, CharAutomaton], ...]:
        return tuple(self.ranges)

    def after(self, char: str) -> CharAutomaton | None:
        return next((to for low, high, to in self.ranges if low <= ord(char) <= high), None)

    def accepts(self, text: str) -> bool:
        state: CharAutomaton | None = self
        for char in text:
            state = None if state is None else state.after(char)
        return state is not None and state.nullable

    def left(self) -> tuple[int, int | None]:
        """Fewest and most characters to come, found by trying; None for no most."""
        reached, fewest, most = {self}, None, None
        for length in range(12):  # longer than there are states: whatever goes on then goes round
            if not reached:
                break
            if any(state.nullable for state in reached):
                fewest, most = length if fewest is None else fewest, length
            reached = {to for state in reached for _, _, to in state.ranges}
        assert fewest is not None
        return fewest, None if reached else most


def _without_surrogates(low: int, high: int) -> Iterator[tuple[int, int]]:
    for first, last in ((low, min(high, 0xD7FF)), (max(low, 0xE000), high)):
        if first <= last:
            yield first, last


@st.composite
def _automata(draw: st.DrawFn) -> CharAutomaton:
    states = [CharAutomaton(draw(st.booleans())) for _ in range(draw(st.integers(1, 4)))]
    states[-1].nullable = True
    for state in states:
        edges = draw(st.sampled_from(ROWS) | st.lists(st.sampled_from(EDGES), max_size=5, unique=True).map(tuple))
        bounds = [*sorted(edges), 0x110000]
        for low, until in pairwise(bounds):
            to = draw(st.sampled_from([None, *states]))
            if to is not None:
                state.ranges += [(*piece, to) for piece in _without_surrogates(low, until - 1)]
    alive = {state for state in states if state.nullable}
    for _ in states:
        alive |= {state for state in states if any(to in alive for _, _, to in state.ranges)}
    for state in states:
        state.ranges = [move for move in state.ranges if move[2] in alive]
    return next(state for state in states if state in alive)


@pytest.fixture(scope="session")
def automata() -> st.SearchStrategy[Any]:
    """Random automata over characters, whose states are all alive."""
    return _automata()


@pytest.fixture(scope="session")
def engine(vocabulary: Vocabulary) -> MachineEngine:
    return MachineEngine(vocabulary)


@pytest.fixture(scope="session")
def plain() -> Kernels:
    return plain_kernels()


@pytest.fixture(scope="session")
def allowed(vocabulary: Vocabulary) -> Allowed:
    """The tokens of a matcher's mask."""

    def found(matcher: Matcher) -> set[int]:
        row = np.full(vocabulary.mask_words, -1, np.int32)
        matcher.mask_into(row)
        return set(np.flatnonzero(unpack(row[None], len(row) * 32)[0]).tolist())

    return found


@pytest.fixture(scope="session")
def accepted(vocabulary: Vocabulary) -> Allowed:
    """The tokens a matcher accepts, by trying each; what the mask has to be."""
    return lambda matcher: {token for token in range(vocabulary.mask_words * 32) if matcher.fork().accept(token)}


@pytest.fixture(scope="session")
def grammar_of(engine: MachineEngine) -> Callable[[Callable[[Machine], int]], MachineGrammar]:
    """A grammar whose first state a function makes."""

    def made(make: Callable[[Machine], int]) -> MachineGrammar:
        machine = Machine(engine.tables, max_bytes=2**24)
        return MachineGrammar(machine, make(machine), ())

    return made


@pytest.fixture(scope="session")
def walked(allowed: Allowed) -> Callable[..., Iterator[Any]]:
    """Goes a random way through a grammar and gives the matcher at each place, with a bias to what is no plain byte."""

    def steps(grammar: MachineGrammar, rng: random.Random, count: int) -> Iterator[Any]:
        matcher = grammar.matcher()
        for _ in range(count):
            yield matcher
            mask = sorted(allowed(matcher) - matcher.machine.tables.vocabulary.end_tokens)
            if not mask:
                return
            longer = [token for token in mask if token >= 256]
            assert matcher.accept(rng.choice(longer if longer and rng.random() < 0.5 else mask))
        yield matcher

    return steps
