"""Calls: which of a graph's calls to the model need which others, and which can run side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sgdsl.ir import Call, Checkpoint, Concat, Fork, Gen, Graph, Join, Rollback, ScopeEnd, Select, SetVar, VarRef
from sgdsl.ir.graph import values_of
from sgdsl.ir.values import references

__all__ = ["Calls", "calls_of"]


@dataclass(frozen=True, slots=True)
class Calls:
    """Gens, selects and called programs, by the indices of their instructions.

    Attributes:
        parents: the call whose text each one directly goes on from, on its stream or where that forked; None at the
            beginning.
        needs: the calls that have to end before each one can begin.
    """

    parents: Mapping[int, int | None]
    needs: Mapping[int, frozenset[int]]

    def levels(self) -> list[list[int]]:
        """The calls in rounds: those of a round need only what earlier rounds have made, and can run side by side."""
        depths: dict[int, int] = {}
        for index, needed in self.needs.items():  # in program order, so what is needed comes first
            depths[index] = 1 + max((depths[one] for one in needed), default=-1)
        rounds: list[list[int]] = [[] for _ in range(1 + max(depths.values(), default=-1))]
        for index, depth in depths.items():
            rounds[depth].append(index)
        return rounds


@dataclass(slots=True)
class _Place:
    """How far a stream has come: its last call, and what it has read since."""

    last: int | None = None
    read: frozenset[int] = field(default_factory=frozenset)

    @property
    def behind(self) -> frozenset[int]:
        """The calls that its text needs."""
        return self.read if self.last is None else self.read | {self.last}


def calls_of(graph: Graph) -> Calls:
    """The calls of a graph."""
    places = {0: _Place()}
    marks: dict[tuple[int, int], _Place] = {}
    parents: dict[int, int | None] = {}
    needs: dict[int, frozenset[int]] = {}
    scopes: dict[int, frozenset[int]] = {}
    for index, instruction in enumerate(graph.instructions):
        stream, node = instruction.stream, instruction.node
        place = places[stream]
        origins = {one.origin for value in values_of(node) for one in references(value) if isinstance(one, VarRef)}
        reads = frozenset().union(*(scopes.get(origin, {origin}) for origin in origins))
        if isinstance(node, Gen | Select):
            parents[index] = place.last
            needs[index] = place.behind
            places[stream] = _Place(index)
        elif isinstance(node, Call):
            parents[index], needs[index] = None, frozenset(reads & needs.keys())
        elif isinstance(node, SetVar):
            scopes[index] = frozenset(reads & needs.keys())
        elif isinstance(node, VarRef):
            places[stream] = _Place(place.last, place.read | (reads & needs.keys()))
        elif isinstance(node, ScopeEnd):
            scopes[index] = place.behind
        elif isinstance(node, Join):
            scopes[index] = frozenset().union(*(places[child].behind for child in node.children))
        elif isinstance(node, Fork):
            places.update({child: _Place(place.last, place.read) for child in node.children})
        elif isinstance(node, Concat):
            taken = frozenset().union(*(places[child].behind for child in node.children))
            places[stream] = _Place(place.last, place.read | taken)
        elif isinstance(node, Checkpoint):
            marks[stream, node.index] = place
        elif isinstance(node, Rollback):
            places[stream] = _Place(marks[stream, node.index].last, marks[stream, node.index].read)
    return Calls(parents, needs)
