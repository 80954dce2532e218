"""Parallel: what a program writes and then takes back becomes a fork of its own, so that nobody waits for it.

After `rollback`, what follows does not see what was written since the checkpoint. As long as it reads nothing of it
either, the two can run side by side. The tokens are the same: a checkpoint cuts the text where the fork begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sgdsl.ir import Call, Checkpoint, Fork, Gen, Graph, Instruction, Join, Rollback, ScopeBegin, ScopeEnd, Select

__all__ = ["parallel"]


def parallel(graph: Graph) -> Graph:
    """The graph with every stretch that is rolled back, and calls the model, on a stream of its own.

    A failure there is still the stream's failure, from the rollback on.
    """
    order = _Order(graph)
    for index, instruction in enumerate(graph.instructions):
        order.take(index, instruction)
    if order.num_streams == graph.num_streams:
        return graph
    cells = list(order.cells())
    moved = {cell.index: place for place, cell in enumerate(cells) if cell.index is not None}
    return graph.rewritten(_renumbered([cell.instruction for cell in cells]), moved)


@dataclass(slots=True, eq=False)
class _Cell:
    """An instruction in the new order, and the one behind it.

    Attributes:
        index: where it stood; None for what is new.
    """

    instruction: Instruction
    index: int | None = None
    behind: _Cell | None = None


class _Order:
    """The new order, as far as it has come.

    `own` are the cells of each stream, and `starts` the places there that each stream can return to.
    """

    def __init__(self, graph: Graph) -> None:
        self.num_streams = graph.num_streams
        self._first: _Cell | None = None
        self._last: _Cell | None = None
        self._next_stream = 1 + max(graph.forks(), default=0)
        self._own: dict[int, list[_Cell]] = {}
        self._starts: dict[tuple[int, int], int] = {}

    def cells(self) -> Iterator[_Cell]:
        """All of them, in order."""
        cell = self._first
        while cell is not None:
            yield cell
            cell = cell.behind

    def take(self, index: int, instruction: Instruction) -> None:
        """The next instruction of the graph."""
        node, stream = instruction.node, instruction.stream
        own = self._own.setdefault(stream, [])
        if isinstance(node, Rollback):
            start = self._starts[stream, node.index]
            inside = [cell.instruction.node for cell in own[start + 1 :]]
            if any(isinstance(one, Gen | Select | Call) for one in inside) and _is_closed(inside):
                instruction = replace(instruction, node=self._forked(own, start))
            else:
                self._starts[stream, node.index] = len(own)
        elif isinstance(node, Checkpoint):
            self._starts[stream, node.index] = len(own)
        cell = _Cell(instruction, index)
        own.append(cell)
        if self._last is None:
            self._first = cell
        else:
            self._last.behind = cell
        self._last = cell

    def _forked(self, own: list[_Cell], start: int) -> Join:
        """Puts what stands behind `start` on a stream of its own; what joins it takes the rollback's place."""
        child, before = self._next_stream, own[start]
        for cell in own[start + 1 :]:
            cell.instruction = replace(cell.instruction, stream=child)
        del own[start + 1 :]
        fork = _Cell(replace(before.instruction, node=Fork((child,))), behind=before.behind)
        before.behind = fork
        own.append(fork)
        self._next_stream += 1
        self.num_streams += 1
        return Join((child,), ())


def _is_closed(nodes: Sequence[object]) -> bool:
    """Whether no scope that began before ends inside: a fork would not know it."""
    depth = 0
    for node in nodes:
        depth += isinstance(node, ScopeBegin) - isinstance(node, ScopeEnd)
        if depth < 0:
            return False
    return True


def _renumbered(instructions: Sequence[Instruction]) -> list[Instruction]:
    """Checkpoints counted anew in each stream; a rollback goes to the last one of its number before it."""
    counts: dict[int, int] = {}
    numbers: dict[tuple[int, int], int] = {}
    found = []
    for instruction in instructions:
        node, stream = instruction.node, instruction.stream
        if isinstance(node, Checkpoint):
            number = numbers[stream, node.index] = counts.get(stream, 0)
            counts[stream] = number + 1
            instruction = replace(instruction, node=Checkpoint(number))
        elif isinstance(node, Rollback):
            instruction = replace(instruction, node=Rollback(numbers[stream, node.index]))
        found.append(instruction)
    return found
