"""Constraints: what a graph's gens are held to, so that grammars can be compiled ahead of the first of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sgdsl.ir import Call, Gen, Graph

if TYPE_CHECKING:
    from grammars.spec import Spec

__all__ = ["constraints"]


def constraints(graph: Graph) -> list[Spec]:
    """Every constraint of the graph and of the programs it calls, each once, in the order of their first use."""
    found: dict[Spec, None] = {}
    for instruction in graph.instructions:
        node = instruction.node
        if isinstance(node, Gen) and node.constraint is not None:
            found[node.constraint] = None
        elif isinstance(node, Call):
            found.update(dict.fromkeys(constraints(node.graph)))
    return list(found)
