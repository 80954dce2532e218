"""Anticipation: what a partial graph knows of a program is handed over before the program's function has said it.

The function then runs as usual. What it says is compared with what was handed over; from where the graph ends, it is
recorded. Its reads find gens that are running already.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from sgdsl.ir import Arg, Gen, Graph, Instruction, RoleBegin, RoleEnd, ScopeBegin, ScopeEnd, Select, Text
from sgdsl.program import Program
from sgdsl.state import ProgramState

__all__ = ["anticipating"]

_KNOWN = (Text, Arg, RoleBegin, RoleEnd, ScopeBegin, ScopeEnd, Gen, Select)


def anticipating(program: Program, graph: Graph) -> Program:
    """The program, its beginning handed over ahead."""
    lead = _lead(graph)

    def begin(state: ProgramState, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        bound = program.signature.bind(*args, **{**program.bound, **kwargs})
        bound.apply_defaults()
        nodes = []
        for instruction in lead:
            node = instruction.node
            if isinstance(node, Arg):
                value = bound.arguments[node.name]
                if not isinstance(value, str):
                    break
                node = Text(value)
            nodes.append((node, instruction.source))
        state._stream.anticipate(nodes)

    @functools.wraps(program.func)
    def perform(state: ProgramState, *args: Any, **kwargs: Any) -> Any:
        begin(state, args, kwargs)
        return program.func(state, *args, **kwargs)

    @functools.wraps(program.func)
    async def perform_async(state: ProgramState, *args: Any, **kwargs: Any) -> Any:
        begin(state, args, kwargs)
        return await program.func(state, *args, **kwargs)

    return Program(
        perform_async if program.is_async else perform,
        bound=program.bound,
        num_api_spec_tokens=program.num_api_spec_tokens,
    )


def _lead(graph: Graph) -> list[Instruction]:
    """The first stream's instructions up to the first that needs more than the stream itself."""
    found = []
    for instruction in graph.instructions:
        if instruction.stream != 0 or not isinstance(instruction.node, _KNOWN):
            break
        found.append(instruction)
    return found
