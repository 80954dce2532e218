"""Optimum: what a cache would find that never forgets anything, and how much it would hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from benchmarks.simulation.trace import Piece, Program, Turn

__all__ = ["Optimum", "optimum"]


@dataclass(slots=True)
class Optimum:
    """Over programs in the order of their arrival. What only one program has is forgotten when the next one comes.

    Attributes:
        programs, requests: how many there are.
        prompt_tokens: over all gens. hit_tokens: of those, what an earlier prompt or output began with.
        trie_tokens: everything that was ever read or written, common beginnings once.
        longest: tokens of the longest prompt with what it may generate.
    """

    programs: int = 0
    requests: int = 0
    prompt_tokens: int = 0
    hit_tokens: int = 0
    trie_tokens: int = 0
    longest: int = 0
    _shared: dict[tuple[int, int, int], int] = field(default_factory=dict)
    _own: dict[tuple[int, int, int], int] = field(default_factory=dict)
    _nodes: int = 0
    _unread: int = 0

    @property
    def hit_rate(self) -> float:
        """Of all prompt tokens."""
        return self.hit_tokens / max(1, self.prompt_tokens)

    def add(self, program: Program) -> None:
        """One more program, after those added before."""
        self.programs += 1
        self._own.clear()
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
        self.requests += 1
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
            nodes = self._shared if piece.is_shared else self._own
            edge = node, piece.number, piece.length
            known = nodes.get(edge)
            if known is None:
                self._nodes += 1
                known = nodes[edge] = self._nodes
                self.trie_tokens += piece.length
                self._unread += piece.length
            node, length = known, length + piece.length
        return node, length


def optimum(programs: Iterable[Program]) -> Optimum:
    """Of programs in the order of their arrival."""
    found = Optimum()
    for program in programs:
        found.add(program)
    return found
