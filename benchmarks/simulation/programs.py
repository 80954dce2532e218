"""The `programs` trace: agents, trees, chats and documents, the same for the same seed.

Of what its definition leaves open: a join generates its 20 tokens on the parent, a request may write 1.3 times the
usual length of its kind, and nobody knows beforehand how many turns an agent or a chat takes.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator

from benchmarks.simulation.trace import Forks, Piece, Program, Turn

__all__ = ["generate"]

AGENT, TREE, CHAT = 0.4, 0.7, 0.9
SPREAD = 0.3


def generate(num_requests: int, seed: int) -> list[Program]:
    """Programs with at least so many gens in all; one arrives each second on average."""
    return list(_Generator(seed).programs(num_requests))


class _Generator:
    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._numbers = itertools.count(1)
        self._few_shot = [self._piece(1500) for _ in range(10)]
        self._tree_prefixes = [self._piece(600) for _ in range(20)]
        self._systems = [self._piece(200) for _ in range(5)]

    def programs(self, num_requests: int) -> Iterator[Program]:
        time = 0.0
        while num_requests > 0:
            time += self._random.expovariate(1.0)
            program = self._program(time)
            num_requests -= program.num_requests
            yield program

    def _program(self, time: float) -> Program:
        kind = self._random.random()
        if kind < AGENT:
            return Program("agent", time, tuple(self._agent()), is_loop=True)
        if kind < TREE:
            return Program("tree", time, tuple(self._tree()))
        if kind < CHAT:
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
        document = (self._piece(8000),)
        return Forks(document, tuple((self._turn(0.0, (self._piece(40),), 60),) for _ in range(10)))

    def _turn(self, delay: float, prompt: tuple[Piece, ...], length: int) -> Turn:
        return Turn(delay, prompt, self._piece(length), math.ceil((1 + SPREAD) * length))

    def _piece(self, length: int) -> Piece:
        return Piece(next(self._numbers), round(length * self._random.uniform(1 - SPREAD, 1 + SPREAD)))
