"""Anticipation: what a partial graph knows of a program is handed over before the program's function has said it.

The function then runs as usual. What it says is compared with what was handed over; from where the graph ends, it is
recorded. Its reads find gens that are running already.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sgdsl.ir import Arg, Gen, Graph, Instruction, Node, RoleBegin, RoleEnd, ScopeBegin, ScopeEnd, Select, Text
from sgdsl.program import Program
from sgdsl.state import ProgramState

if TYPE_CHECKING:
    from sgdsl.source import Source

__all__ = ["anticipating"]

_KNOWN = (Text, Arg, RoleBegin, RoleEnd, ScopeBegin, ScopeEnd, Gen, Select)


def anticipating(program: Program, graph: Graph) -> Program:
    """The program, its beginning handed over ahead."""
    lead = _lead(graph)

    def said(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Iterator[tuple[Node, Source | None]]:
        bound = program.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        graph.arguments(bound.arguments)
        for instruction in lead:
            node = instruction.node
            if isinstance(node, Arg):
                value = bound.arguments[node.name]
                if not isinstance(value, str):
                    return
                if not value:  # says nothing, as in the function
                    continue
                node = Text(value)
            yield node, instruction.source

    def check_said(state: ProgramState) -> None:
        foreseen = state._stream.lead
        if foreseen:
            raise foreseen.left_over()

    @functools.wraps(program.func)
    def perform(state: ProgramState, *args: Any, **kwargs: Any) -> Any:
        state._stream.anticipate(said(args, kwargs))
        returned = program.func(state, *args, **kwargs)
        check_said(state)
        return returned

    @functools.wraps(program.func)
    async def perform_async(state: ProgramState, *args: Any, **kwargs: Any) -> Any:
        state._stream.anticipate(said(args, kwargs))
        returned = await program.func(state, *args, **kwargs)
        check_said(state)
        return returned

    return Program(
        perform_async if program.is_async else perform,
        bound={**program.bound, **_given(program, graph)},
        num_api_spec_tokens=program.num_api_spec_tokens,
    )


def _given(program: Program, graph: Graph) -> dict[str, Any]:
    """The arguments the graph was made for, which a run need not repeat."""
    by_place = {p.name for p in program.signature.parameters.values() if p.kind is p.POSITIONAL_ONLY}
    return {p.name: p.default for p in graph.parameters if p.is_fixed and p.is_keyword and p.name not in by_place}


def _lead(graph: Graph) -> list[Instruction]:
    """The first stream's instructions up to the first that needs more than the stream itself."""
    found = []
    for instruction in graph.instructions:
        if instruction.stream != 0 or not isinstance(instruction.node, _KNOWN):
            break
        found.append(instruction)
    return found
