"""Graph: a whole program as instructions in streams, with the edges where streams fork and join."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sgdsl.errors import InvalidArgument
from sgdsl.ir.nodes import Call, Checkpoint, Concat, Fork, Join, Node, Rollback, SetVar
from sgdsl.ir.values import NOTHING, Arg, Value, VarRef, mapped, references

if TYPE_CHECKING:
    from sgdsl.source import Source

__all__ = ["Graph", "Instruction", "Parameter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter of the program.

    Attributes:
        default: the value where none is given. is_required: there is no default.
        is_fixed: the graph was made for this very default; no other value can be given.
    """

    name: str
    default: Any = None
    is_required: bool = False
    is_fixed: bool = False


@dataclass(frozen=True, slots=True)
class Instruction:
    """A node in a stream, and the place in the program that it comes from."""

    stream: int
    node: Node
    source: Source | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Instructions in the order in which the program gave them; an instruction's index is its name.

    Stream 0 is the program's own; a `Fork` begins others. Printing it shows readable text.

    Attributes:
        name: the program's.
        result: what the program returns.
        stopped: why the graph ends before the program does; None where it is whole.

    Raises:
        InvalidArgument: instructions that cannot stand where they stand.
    """

    name: str
    parameters: tuple[Parameter, ...] = ()
    instructions: tuple[Instruction, ...] = ()
    result: Value = NOTHING
    stopped: str | None = None

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Every stream begins with a fork before it is used, and only what stands before is referred to.

        Raises:
            InvalidArgument: naming the instruction.
        """
        begun, parameters = {0}, {parameter.name for parameter in self.parameters}
        for index, instruction in enumerate(self.instructions):
            node = instruction.node
            if instruction.stream not in begun:
                raise InvalidArgument(f"instruction {index}: stream {instruction.stream} has not begun")
            if isinstance(node, Fork):
                if begun & set(node.children) or not node.children:
                    raise InvalidArgument(f"instruction {index}: children={node.children} is not allowed: new streams")
                begun.update(node.children)
            elif isinstance(node, Join | Concat) and not set(node.children) <= begun:
                raise InvalidArgument(f"instruction {index}: children={node.children} have not begun")
            self._check_values(f"instruction {index}", index, parameters, values_of(node))
        self._check_values("result", len(self.instructions), parameters, [self.result])

    @staticmethod
    def _check_values(where: str, before: int, parameters: set[str], values: Sequence[Value]) -> None:
        for found in (one for value in values for one in references(value)):
            if isinstance(found, Arg) and found.name not in parameters:
                raise InvalidArgument(f"{where}: the program has no parameter {found.name!r}")
            if isinstance(found, VarRef) and not 0 <= found.origin < before:
                raise InvalidArgument(f"{where}: {found.name!r} is read before it is written")

    # looking into it

    @property
    def num_streams(self) -> int:
        """Streams, the program's own included."""
        return 1 + sum(len(one.node.children) for one in self.instructions if isinstance(one.node, Fork))

    def forks(self) -> dict[int, int]:
        """For every stream but the first, the index of the instruction it began with."""
        found = enumerate(self.instructions)
        return {child: index for index, one in found if isinstance(one.node, Fork) for child in one.node.children}

    def stream(self, stream: int) -> list[int]:
        """The indices of a stream's own instructions."""
        return [index for index, one in enumerate(self.instructions) if one.stream == stream]

    def lineage(self, index: int) -> list[int]:
        """The instructions whose text may stand before instruction `index`: its stream's, and those it forked from."""
        forks, found = self.forks(), []
        stream, end = self.instructions[index].stream, index
        while True:
            found += [i for i in reversed(range(end)) if self.instructions[i].stream == stream]
            if stream not in forks:
                return self._without_rolled_back(found[::-1])
            end = forks[stream]
            stream = self.instructions[end].stream

    def _without_rolled_back(self, indices: Sequence[int]) -> list[int]:
        kept: list[int] = []
        marks: dict[tuple[int, int], int] = {}
        for index in indices:
            instruction = self.instructions[index]
            if isinstance(instruction.node, Checkpoint):
                marks[instruction.stream, instruction.node.index] = len(kept)
            elif isinstance(instruction.node, Rollback):
                del kept[marks[instruction.stream, instruction.node.index] :]
                continue
            kept.append(index)
        return kept

    # changing it

    def rewritten(self, instructions: Sequence[Instruction], moved: Mapping[int, int]) -> Graph:
        """The graph with other instructions; references follow theirs from old to new indices.

        Args:
            instructions: with references still to the old indices.
            moved: old index → new index, of every instruction that is referred to.
        """

        def follow(value: Arg | VarRef) -> Value:
            return value if isinstance(value, Arg) else replace(value, origin=moved[value.origin])

        def changed(node: Node) -> Node:
            if isinstance(node, VarRef):
                return replace(node, origin=moved[node.origin])
            if isinstance(node, SetVar):
                return replace(node, value=mapped(node.value, follow))
            if isinstance(node, Call):
                return replace(node, arguments=tuple((name, mapped(value, follow)) for name, value in node.arguments))
            return node

        new = tuple(replace(one, node=changed(one.node)) for one in instructions)
        return replace(self, instructions=new, result=mapped(self.result, follow))

    # showing it

    def to_json(self, *, indent: int | None = None) -> str:
        """As JSON text; `Graph.from_json` makes the same graph of it.

        Raises:
            NotSupported: something in it is Python's alone, such as a choices method of one's own.
        """
        from sgdsl.ir.codec import graph_to_json

        return graph_to_json(self, indent=indent)

    @classmethod
    def from_json(cls, text: str) -> Graph:
        """The graph that `to_json` wrote.

        Raises:
            InvalidArgument: the text is no such graph.
        """
        from sgdsl.ir.codec import graph_from_json

        return graph_from_json(text)

    def to_dot(self) -> str:
        """As Graphviz draws it."""
        from sgdsl.ir.drawing import to_dot

        return to_dot(self)

    def to_mermaid(self) -> str:
        """As Mermaid draws it."""
        from sgdsl.ir.drawing import to_mermaid

        return to_mermaid(self)

    def __str__(self) -> str:
        from sgdsl.ir.text import as_text

        return as_text(self)

    def __iter__(self) -> Iterator[Instruction]:
        return iter(self.instructions)

    def __len__(self) -> int:
        return len(self.instructions)


def values_of(node: Node) -> list[Value]:
    """The values an instruction needs."""
    if isinstance(node, Arg | VarRef):
        return [node]
    if isinstance(node, SetVar):
        return [node.value]
    if isinstance(node, Call):
        return [value for _, value in node.arguments]
    return []
