"""Trace: programs as they arrive, each with the pieces of text it reads and writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["Forks", "Optimum", "Piece", "Program", "Turn", "optimum"]


class Piece(NamedTuple):
    """`length` tokens; two pieces with the same number are the same text."""

    number: int
    length: int

    @property
    def tokens(self) -> list[int]:
        """What stands for its tokens: the tree only sees whether two are the same."""
        return [self.number] * self.length


@dataclass(frozen=True, slots=True)
class Turn:
    """One gen.

    Attributes:
        delay: seconds from the end of the turn before until this one is asked for: a tool runs, or a user thinks.
        prompt: appended before.
        output: what is generated.
        max_new_tokens: what the request allows.
    """

    delay: float
    prompt: tuple[Piece, ...]
    output: Piece
    max_new_tokens: int


@dataclass(frozen=True, slots=True)
class Forks:
    """Branches that go on from here side by side; the program goes on from the same place when all have ended."""

    prompt: tuple[Piece, ...]
    branches: tuple[tuple[Turn, ...], ...]


@dataclass(frozen=True, slots=True)
class Program:
    """One run of a program.

    Attributes:
        kind: its name.
        is_loop: nobody knows beforehand how many turns it takes.
        arrival: seconds from the start of the trace, in units that `Simulator` scales by the arrival rate.
    """

    kind: str
    arrival: float
    steps: tuple[Turn | Forks, ...]
    is_loop: bool = False

    @property
    def delay(self) -> float:
        """Seconds in which it waits for tools and users, whatever the policy; branches never do."""
        return sum(step.delay for step in self.steps if isinstance(step, Turn))

    @property
    def num_requests(self) -> int:
        """Gens."""
        return sum(1 if isinstance(step, Turn) else sum(map(len, step.branches)) for step in self.steps)


@dataclass(slots=True)
class Optimum:
    """What an unbounded cache would do.

    Attributes:
        prompt_tokens: over all gens. hit_tokens: of those, what an earlier prompt or output began with.
        trie_tokens: everything that was ever read or written, common beginnings once.
        longest: tokens of the longest prompt with what it may generate.
    """

    prompt_tokens: int = 0
    hit_tokens: int = 0
    trie_tokens: int = 0
    longest: int = 0
    _nodes: dict[tuple[int, Piece], int] = field(default_factory=dict)
    _unread: int = 0

    def add(self, program: Program) -> None:
        """One more program, after those added before."""
        node, length = 0, 0
        for step in program.steps:
            node, length = self._read(node, length, step.prompt)
            if isinstance(step, Turn):
                node, length = self._ask(node, length, step)
                continue
            for branch in step.branches:
                at, so_far = node, length
                for turn in branch:
                    at, so_far = self._read(at, so_far, turn.prompt)
                    at, so_far = self._ask(at, so_far, turn)

    def _ask(self, node: int, length: int, turn: Turn) -> tuple[int, int]:
        self.prompt_tokens += length
        self.longest = max(self.longest, length + turn.max_new_tokens)
        # Whatever is new in the prompt was counted as read; the last token is always computed.
        self.hit_tokens += length - max(1, self._unread)
        self._unread = 0
        node, length = self._read(node, length, (turn.output,))
        self._unread = 0
        return node, length

    def _read(self, node: int, length: int, pieces: Sequence[Piece]) -> tuple[int, int]:
        for piece in pieces:
            known = self._nodes.get((node, piece))
            if known is None:
                known = self._nodes[node, piece] = len(self._nodes) + 1
                self.trie_tokens += piece.length
                self._unread += piece.length
            node, length = known, length + piece.length
        return node, length


def optimum(programs: Iterator[Program] | Sequence[Program]) -> Optimum:
    """Of programs in the order of their arrival."""
    found = Optimum()
    for program in programs:
        found.add(program)
    return found
