"""Units: the stretches of text that are tokenized as one string each, as the interpreter cuts them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sgdsl.ir import (
    Arg,
    Call,
    Graph,
    Join,
    Node,
    RoleBegin,
    RoleEnd,
    Rollback,
    ScopeBegin,
    ScopeEnd,
    SetVar,
    Text,
    VarRef,
)

__all__ = ["Unit", "constants", "units", "with_arguments"]

_SILENT = (ScopeBegin, ScopeEnd, SetVar, Join, Call)


@dataclass(frozen=True, slots=True)
class Unit:
    """A stretch of one stream's text.

    Attributes:
        stream: whose.
        end: the index of the instruction that ends it; the graph's length where the stream ends.
        parts: texts, and what stands for text that is not known.
    """

    stream: int
    end: int
    parts: tuple[str | Arg | VarRef, ...]

    @property
    def text(self) -> str | None:
        """The text, where all of it is known."""
        known = [part for part in self.parts if isinstance(part, str)]
        return "".join(known) if len(known) == len(self.parts) else None


def units(graph: Graph) -> list[Unit]:
    """The units of a graph whose roles are expanded, in the order in which they end."""
    held: dict[int, list[str | Arg | VarRef]] = {}
    found: list[Unit] = []

    def cut(stream: int, end: int) -> None:
        parts = held.pop(stream, [])
        if parts:
            found.append(Unit(stream, end, tuple(parts)))

    for index, instruction in enumerate(graph.instructions):
        stream, node = instruction.stream, instruction.node
        if isinstance(node, Rollback):
            held.pop(stream, None)
        elif isinstance(node, RoleEnd):
            held.setdefault(stream, []).append(_edge(node))
            cut(stream, index)
        elif isinstance(node, Text | Arg | VarRef | RoleBegin):
            if isinstance(node, RoleBegin):
                cut(stream, index)
            held.setdefault(stream, []).append(_part(node))
        elif not isinstance(node, _SILENT):
            cut(stream, index)
    for stream in list(held):
        cut(stream, len(graph))
    return found


def _part(node: Text | Arg | VarRef | RoleBegin) -> str | Arg | VarRef:
    if isinstance(node, Text):
        return node.text
    return _edge(node) if isinstance(node, RoleBegin) else node


def _edge(node: RoleBegin | RoleEnd) -> str:
    return node.text or ""


def constants(graph: Graph) -> list[str]:
    """The texts that are tokenized alike in every run of a graph whose roles are expanded, each once.

    Those of called programs are among them.
    """
    found = dict.fromkeys(unit.text for unit in units(graph) if unit.text is not None)
    for instruction in graph.instructions:
        if isinstance(instruction.node, Call):
            found.update(dict.fromkeys(constants(instruction.node.graph)))
    return list(found)


def with_arguments(graph: Graph, arguments: Mapping[str, Any]) -> Graph:
    """The graph of one run: arguments that are text are text."""

    def known(node: Node) -> Node:
        value = arguments.get(node.name) if isinstance(node, Arg) else None
        return Text(value) if isinstance(value, str) else node

    return replace(graph, instructions=tuple(replace(one, node=known(one.node)) for one in graph.instructions))
