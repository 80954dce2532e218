"""Least fixpoints over a graph of constraint nodes: which nodes no finite value satisfies.

Knows nothing of JSON: a question is asked by a generator that yields the nodes it depends on.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeAlias

from grammars.json.node import Node

__all__ = ["Asking", "Emptiness"]

Asking: TypeAlias = Generator[Node, bool, bool]
"""Yields nodes, is sent whether each is empty, and returns whether what it examines has a value."""


@dataclass(slots=True)
class _Frame:
    node: Node | None
    asking: Asking
    lowest: int  # the outermost frame whose unproven emptiness this one relied on
    start: int  # provisional answers there were when it began


class Emptiness:
    """Whether nodes are empty, memoized.

    A node met again while it is being examined counts as empty, which makes the answer the least fixpoint: a value
    must be finite. "Not empty" is proven outright and kept. "Empty" may rest on such an assumption; it stays
    provisional until the outermost node it rests on is found empty too. Depth is bounded by memory, not by Python's
    stack.

    Args:
        question: for a node, its emptiness where that is plain to see, or else a generator to examine it.
    """

    def __init__(self, question: Callable[[Node], bool | Asking]) -> None:
        self._question = question
        self._known: dict[Node, bool] = {}

    def known(self, node: Node) -> bool | None:
        """The memoized answer, if there is one."""
        return self._known.get(node)

    def is_empty(self, node: Node) -> bool:
        """Whether no value satisfies the node."""
        known = self._known.get(node)
        if known is None:
            first = self._question(node)
            if isinstance(first, bool):
                self._known[node] = known = first
            else:
                known = not _Search(self._question, self._known).run(node, first)
        return known

    def answer(self, asking: Asking) -> bool:
        """Runs a generator to its end, and returns what it returns."""
        return _Search(self._question, self._known).run(None, asking)


class _Search:
    """One depth-first examination; nothing of it but the proven answers outlives it."""

    def __init__(self, question: Callable[[Node], bool | Asking], known: dict[Node, bool]) -> None:
        self._question = question
        self._known = known
        self._frames: list[_Frame] = []
        self._active: dict[Node, int] = {}
        self._provisional: dict[Node, int] = {}
        self._order: list[Node] = []

    def run(self, node: Node | None, asking: Asking) -> bool:
        """Examines `node` by `asking`; True when it has a value."""
        self._push(node, asking)
        answer: bool | None = None
        while True:
            frame = self._frames[-1]
            try:
                asked = next(frame.asking) if answer is None else frame.asking.send(answer)
            except StopIteration as stop:
                alive: bool = stop.value
                self._pop(alive)
                if not self._frames:
                    return alive
                answer = not alive
            else:
                answer = self._look_up(asked, frame)

    def _push(self, node: Node | None, asking: Asking) -> None:
        depth = len(self._frames)
        if node is not None:
            self._active[node] = depth
        self._frames.append(_Frame(node, asking, depth, len(self._order)))

    def _look_up(self, node: Node, frame: _Frame) -> bool | None:
        known = self._known.get(node)
        if known is not None:
            return known
        relied_on = self._active.get(node, self._provisional.get(node))
        if relied_on is not None:
            frame.lowest = min(frame.lowest, relied_on)
            return True
        question = self._question(node)
        if isinstance(question, bool):
            self._known[node] = question
            return question
        self._push(node, question)
        return None

    def _pop(self, alive: bool) -> None:
        frame = self._frames.pop()
        if frame.node is None:
            return
        del self._active[frame.node]
        if alive:
            self._known[frame.node] = False
            self._forget_since(frame.start)
        elif frame.lowest >= len(self._frames):
            self._known[frame.node] = True
            self._known.update(dict.fromkeys(self._forget_since(frame.start), True))
        else:
            self._provisional[frame.node] = frame.lowest
            self._order.append(frame.node)
            below = self._frames[-1]
            below.lowest = min(below.lowest, frame.lowest)

    def _forget_since(self, start: int) -> list[Node]:
        forgotten = self._order[start:]
        del self._order[start:]
        for node in forgotten:
            del self._provisional[node]
        return forgotten
