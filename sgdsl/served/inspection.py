"""Inspection: whether a graph from outside is one that may run here."""

from __future__ import annotations

from runtime.server.errors import bad_request
from runtime.server.programs.runner import ProgramLimits
from sgdsl.errors import InvalidArgument
from sgdsl.ir import Graph
from sgdsl.ir.nodes import (
    Arg,
    Call,
    Checkpoint,
    Concat,
    Fork,
    Gen,
    Join,
    RoleBegin,
    RoleEnd,
    Rollback,
    ScopeBegin,
    ScopeEnd,
    Select,
    SetVar,
    Text,
    Tokens,
    VarRef,
)

__all__ = ["inspected"]

ALLOWED = (
    *(Arg, Call, Checkpoint, Concat, Fork, Gen, Join, RoleBegin, RoleEnd, Rollback, ScopeBegin, ScopeEnd, Select),
    *(SetVar, Text, Tokens, VarRef),
)
"""What touches nothing but the model. A `Call` is of a graph; pictures, which are fetched, are left out."""


def inspected(text: str, limits: ProgramLimits) -> Graph:
    """The graph of a JSON text.

    Raises:
        ApiError: it is none, it is not whole, it is larger than allowed, or it holds what is not allowed.
    """
    try:
        graph = Graph.from_json(text)
    except (InvalidArgument, RecursionError) as error:
        raise bad_request("graph", f"graph: {str(error) or 'nested too deeply'}", "invalid_graph") from None
    num_nodes = num_streams = 0
    inside = [(graph, 1)]
    while inside:
        one, depth = inside.pop()
        if one.stopped is not None:
            raise bad_request("graph", f"graph: {one.name} is not whole: {one.stopped}", "invalid_graph")
        num_nodes += len(one)
        num_streams += one.num_streams
        _check("nodes", num_nodes, limits.max_nodes)
        _check("streams", num_streams, limits.max_streams)
        _check("graphs inside each other", depth, limits.max_depth)
        for instruction in one:
            node = instruction.node
            if not isinstance(node, ALLOWED):
                kind = type(node).__name__
                raise bad_request("graph", f"graph: {kind} is nothing that a program on a server may do")
            if isinstance(node, Call):
                inside.append((node.graph, depth + 1))
    return graph


def _check(what: str, number: int, most: int) -> None:
    if number > most:
        raise bad_request("graph", f"graph: {number} {what}: at most {most} are allowed", "graph_too_large")
