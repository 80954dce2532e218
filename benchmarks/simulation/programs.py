"""Traces of programs: agents, trees, chats and documents, the same for the same seed.

Of what the definition of `programs` leaves open: a join generates its 20 tokens on the parent, a request may write 1.3
times the usual length of its kind, and nobody knows beforehand how many turns an agent or a chat takes.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from benchmarks.simulation.trace import Forks, Piece, Program, Turn

__all__ = ["TRACES", "generate"]

SPREAD = 0.3
TRACES: Mapping[str, tuple[float, float, float, float]] = MappingProxyType(
    {"programs": (0.4, 0.3, 0.2, 0.1), "multi-turn": (0.0, 0.0, 1.0, 0.0), "documents": (0.0, 0.0, 0.0, 1.0)}
)
"""What share of the programs are agents, trees, chats and documents."""

NUM_DOCUMENTS = 100
"""Documents of the trace `documents`: the n-th is asked about 1 / n as often as the first. Elsewhere each is new."""


def generate(num_requests: int, seed: int, name: str = "programs") -> Iterator[Program]:
    """Programs with at least so many gens in all; one arrives each second on average."""
    return _Generator(seed, name).programs(num_requests)


class _Generator:
    def __init__(self, seed: int, name: str) -> None:
        self._random = random.Random(seed)
        self._numbers = itertools.count(1)
        self._shares = TRACES[name]
        self._few_shot = [self._piece(1500, is_shared=True) for _ in range(10)]
        self._tree_prefixes = [self._piece(600, is_shared=True) for _ in range(20)]
        self._systems = [self._piece(200, is_shared=True) for _ in range(5)]
        number = NUM_DOCUMENTS if name == "documents" else 0
        self._documents = [self._piece(8000, is_shared=True) for _ in range(number)]
        self._popularity = [1 / place for place in range(1, number + 1)]

    def programs(self, num_requests: int) -> Iterator[Program]:
        time = 0.0
        while num_requests > 0:
            time += self._random.expovariate(1.0)
            program = self._program(time)
            num_requests -= program.num_requests
            yield program

    def _program(self, time: float) -> Program:
        kind = self._random.random()
        agents, trees, chats, _ = self._shares
        if kind < agents:
            return Program("agent", time, tuple(self._agent()), is_loop=True)
        if kind < agents + trees:
            return Program("tree", time, tuple(self._tree()))
        if kind < agents + trees + chats:
            return Program("chat", time, tuple(self._chat()), is_loop=True)
        return Program("document", time, (self._document(),))

    def _agent(self) -> Iterator[Turn]:
        prompt = (self._random.choice(self._few_shot), self._piece(30))
        delay = 0.0
        for _ in range(self._random.randint(2, 8)):
            yield self._turn(delay, prompt, 60)
            delay, prompt = self._random.uniform(0.5, 3.0), (self._piece(150),)

    def _tree(self) -> Iterator[Turn | Forks]:
        prompt: tuple[Piece, ...] = (self._random.choice(self._tree_prefixes), self._piece(80))
        for _ in range(2):
            yield Forks(prompt, tuple((self._turn(0.0, (), 80),) for _ in range(4)))
            yield self._turn(0.0, (), 20)
            prompt = ()

    def _chat(self) -> Iterator[Turn]:
        prompt = (self._random.choice(self._systems), self._piece(120))
        delay = 0.0
        for _ in range(8):
            yield self._turn(delay, prompt, 180)
            delay, prompt = self._random.expovariate(1 / 20), (self._piece(120),)

    def _document(self) -> Forks:
        if self._documents:
            (document,) = self._random.choices(self._documents, self._popularity)
        else:
            document = self._piece(8000)
        return Forks((document,), tuple((self._turn(0.0, (self._piece(40),), 60),) for _ in range(10)))

    def _turn(self, delay: float, prompt: tuple[Piece, ...], length: int) -> Turn:
        return Turn(delay, prompt, self._piece(length), math.ceil((1 + SPREAD) * length))

    def _piece(self, length: int, *, is_shared: bool = False) -> Piece:
        number = round(length * self._random.uniform(1 - SPREAD, 1 + SPREAD))
        return Piece(next(self._numbers), number, is_shared)
