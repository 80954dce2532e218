"""Trace: programs as they arrive, each with the pieces of text it reads and writes."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Forks", "Piece", "Program", "Turn"]


class Piece(NamedTuple):
    """`length` tokens; two pieces with the same number are the same text.

    Attributes:
        is_shared: whether other programs may have it too; of the others nothing is kept once their program is past.
    """

    number: int
    length: int
    is_shared: bool = False

    @property
    def tokens(self) -> array[int]:
        """What stands for its tokens: the tree only sees whether two are the same."""
        return array("i", (self.number,)) * self.length


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
