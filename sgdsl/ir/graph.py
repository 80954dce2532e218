"""Graph: a whole program as instructions in streams, with the edges where streams fork and join."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sgdsl.errors import InvalidArgument
from sgdsl.ir.nodes import Call, Checkpoint, Concat, Fork, Gen, Join, Node, Rollback, ScopeEnd, Select, SetVar
from sgdsl.ir.values import NOTHING, Arg, Const, Entries, Items, Joined, Value, VarRef, mapped, references

if TYPE_CHECKING:
    from sgdsl.source import Source

__all__ = ["Graph", "Instruction", "Parameter", "bound_by", "values_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter of the program.

    Attributes:
        default: the value where none is given. is_required: there is no default.
        is_fixed: the graph was made for this very default; no other value can be given.
        is_keyword: it is given by its name only.
    """

    name: str
    default: Any = None
    is_required: bool = False
    is_fixed: bool = False
    is_keyword: bool = False


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
        begun: set[int] = {0}
        good: dict[int, list[bool]] = {}
        for index, instruction in enumerate(self.instructions):
            node, stream = instruction.node, instruction.stream
            if stream not in begun:
                raise InvalidArgument(f"instruction {index}: stream {stream} has not begun")
            if isinstance(node, Fork):
                if begun & set(node.children) or not 0 < len(set(node.children)) == len(node.children):
                    raise InvalidArgument(f"instruction {index}: children={node.children} is not allowed: new streams")
                begun.update(node.children)
            elif isinstance(node, Join | Concat) and not set(node.children) <= begun - {stream}:
                raise InvalidArgument(f"instruction {index}: children={node.children} is not allowed: other streams")
            elif isinstance(node, Checkpoint):
                if node.index != len(good.setdefault(stream, [])):
                    raise InvalidArgument(f"instruction {index}: checkpoint {node.index} is not its stream's next")
                good[stream].append(True)
            elif isinstance(node, Rollback):
                _return(good.get(stream, []), node.index, index)
            self._check_values(f"instruction {index}", index, values_of(node))
        self._check_values("result", len(self.instructions), [self.result])

    def _check_values(self, where: str, before: int, values: Sequence[Value]) -> None:
        for found in (one for value in values for one in references(value)):
            if isinstance(found, Arg) and not any(found.name == parameter.name for parameter in self.parameters):
                raise InvalidArgument(f"{where}: the program has no parameter {found.name!r}")
            if isinstance(found, VarRef) and not 0 <= found.origin < before:
                raise InvalidArgument(f"{where}: {found.name!r} is read before it is written")
            if isinstance(found, VarRef) and found.name not in bound_by(self.instructions[found.origin].node):
                raise InvalidArgument(f"{where}: instruction {found.origin} does not bind {found.name!r}")

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

    def is_text(self, value: Value) -> bool:
        """Whether a value of this graph is certain to be text."""
        if not isinstance(value, VarRef):
            return isinstance(value, Joined) or (isinstance(value, Const) and isinstance(value.value, str))
        node = self.instructions[value.origin].node
        if isinstance(node, SetVar):
            return value.form == "text" or self.is_text(node.value)
        if isinstance(node, Call):
            return node.graph.is_text(_at(node.graph.result, value.path))
        if isinstance(node, Gen) and node.typed is not None and node.typed.type is not str and value.form == "value":
            return False
        return isinstance(node, Gen | Select | ScopeEnd) and value.form != "meta"

    # running it

    def arguments(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Every parameter's value in a run that was given these.

        Raises:
            InvalidArgument: an argument that the graph was made for has another value.
        """
        for parameter in self.parameters:
            value = given.get(parameter.name, parameter.default)
            if parameter.is_fixed and value is not parameter.default and not _are_equal(value, parameter.default):
                raise InvalidArgument(
                    f"{parameter.name}={value!r:.60} is not allowed: the graph was made for"
                    f" {parameter.default!r:.60}; compile({parameter.name}=…) makes one for another value"
                )
        return {p.name: given.get(p.name, p.default) for p in self.parameters}

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


def _return(good: list[bool], mark: int, index: int) -> None:
    """A stream returns to one of its checkpoints; those behind it are good no longer."""
    if not (0 <= mark < len(good) and good[mark]):
        raise InvalidArgument(f"instruction {index}: its stream has no checkpoint {mark} to return to")
    good[mark + 1 :] = [False] * (len(good) - mark - 1)


def _are_equal(one: object, other: object) -> bool:
    """Arrays, and what else has no plain answer, are equal to nothing but themselves."""
    try:
        return bool(one == other)
    except ValueError:
        return False


def _at(value: Value, path: Sequence[int | str]) -> Value:
    """A part of a value; nothing where that cannot be told."""
    for key in path:
        found: dict[int | str, Value] = {}
        found |= value.entries if isinstance(value, Entries) else ()
        found |= enumerate(value.values) if isinstance(value, Items) else ()
        value = found.get(key, NOTHING)
    return value


def bound_by(node: Node) -> tuple[str | None, ...]:
    """The names under which an instruction's outcome can be referred to."""
    if isinstance(node, Gen):
        return (node.name, node.reasoning_name)
    if isinstance(node, Select | ScopeEnd | SetVar):
        return (node.name,)
    if isinstance(node, Join):
        return node.names
    return ("",) if isinstance(node, Call) else ()


def values_of(node: Node) -> list[Value]:
    """The values an instruction needs."""
    if isinstance(node, Arg | VarRef):
        return [node]
    if isinstance(node, SetVar):
        return [node.value]
    if isinstance(node, Call):
        return [value for _, value in node.arguments]
    return []
