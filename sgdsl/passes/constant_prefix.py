"""Constant prefix: what every run of a graph, or every run of a batch, begins with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sgdsl.ir import Arg, Graph, Instruction, RoleBegin, RoleEnd, ScopeBegin, ScopeEnd, SetVar, Text

__all__ = ["constant_prefix"]

_CONSTANT = (Text, RoleBegin, RoleEnd, ScopeBegin, ScopeEnd)


def constant_prefix(graph: Graph, batch: Sequence[Mapping[str, Any]] = ()) -> tuple[Instruction, ...]:
    """The instructions of the first stream up to the first that may differ from run to run.

    Args:
        batch: the arguments of runs; those that are the same text in all of them are constant.
    """
    shared = _shared(batch)
    found: list[Instruction] = []
    for instruction in graph.instructions:
        node = instruction.node
        if isinstance(node, SetVar):
            continue
        if isinstance(node, Arg) and node.name in shared:
            instruction = replace(instruction, node=Text(shared[node.name]))
        elif instruction.stream != 0 or not isinstance(node, _CONSTANT):
            break
        found.append(instruction)
    return tuple(found)


def _shared(batch: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    if not batch:
        return {}
    first = batch[0]
    return {
        name: value
        for name, value in first.items()
        if isinstance(value, str) and all(item.get(name) == value for item in batch)
    }
