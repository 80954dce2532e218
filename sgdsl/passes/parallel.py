"""Parallel: what a program writes and then takes back becomes a fork of its own, so that nobody waits for it.

After `rollback`, what follows does not see what was written since the checkpoint. As long as it reads nothing of it
either, the two can run side by side. The tokens are the same: a checkpoint cuts the text where the fork begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sgdsl.ir import Call, Checkpoint, Fork, Gen, Graph, Instruction, Join, Rollback, ScopeBegin, ScopeEnd, Select

__all__ = ["parallel"]


def parallel(graph: Graph) -> Graph:
    """The graph with every stretch that is rolled back, and calls the model, on a stream of its own.

    A failure there is still the stream's failure, from the rollback on.
    """
    while (stretch := _stretch(graph)) is not None:
        graph = _forked(graph, *stretch)
    return graph


def _stretch(graph: Graph) -> tuple[int, int] | None:
    """The first stretch worth a fork: the instruction it stands behind, and the rollback that ends it."""
    starts: dict[tuple[int, int], int] = {}
    for index, instruction in enumerate(graph.instructions):
        node, stream = instruction.node, instruction.stream
        if isinstance(node, Checkpoint):
            starts[stream, node.index] = index
        elif isinstance(node, Rollback):
            start = starts[stream, node.index]
            inside = [one.node for one in graph.instructions[start + 1 : index] if one.stream == stream]
            if any(isinstance(one, Gen | Select | Call) for one in inside) and _is_closed(inside):
                return start, index
            starts[stream, node.index] = index
    return None


def _is_closed(nodes: Sequence[object]) -> bool:
    """Whether no scope that began before ends inside: a fork would not know it."""
    depth = 0
    for node in nodes:
        depth += isinstance(node, ScopeBegin) - isinstance(node, ScopeEnd)
        if depth < 0:
            return False
    return True


def _forked(graph: Graph, start: int, end: int) -> Graph:
    stream, child = graph.instructions[start].stream, 1 + max(_streams(graph))
    source = graph.instructions[start].source
    made: list[Instruction] = []
    moved: dict[int, int] = {}
    for index, instruction in enumerate(graph.instructions):
        if index == end:
            instruction = Instruction(stream, Join((child,), ()), instruction.source)
        elif start < index < end and instruction.stream == stream:
            instruction = replace(instruction, stream=child)
        moved[index] = len(made)
        made.append(instruction)
        if index == start:
            made.append(Instruction(stream, Fork((child,)), source))
    return graph.rewritten(_renumbered(made), moved)


def _streams(graph: Graph) -> set[int]:
    return {0} | set(graph.forks())


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
