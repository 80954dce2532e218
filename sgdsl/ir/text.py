"""Text: a graph as people read it, a line an instruction, streams indented below the fork they begin with."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sgdsl.ir.nodes import (
    Arg,
    Call,
    Checkpoint,
    Concat,
    Fork,
    Gen,
    Image,
    Join,
    Node,
    RoleBegin,
    RoleEnd,
    Rollback,
    ScopeBegin,
    ScopeEnd,
    Select,
    SetVar,
    Text,
    VarRef,
)
from sgdsl.ir.values import NOTHING, Const, Items, Joined, Value

if TYPE_CHECKING:
    from sgdsl.ir.graph import Graph, Parameter

__all__ = ["as_text", "describe", "shortened", "value_text"]

WIDTH = 76


def as_text(graph: Graph) -> str:
    """The whole graph: its parameters, its instructions with their places in the program, and what it returns."""
    forks = graph.forks()
    depths = {0: 0}
    lines = [f"{graph.name}({', '.join(map(_parameter, graph.parameters))})"]
    for index, instruction in enumerate(graph.instructions):
        stream = instruction.stream
        if stream not in depths:
            depths[stream] = depths[graph.instructions[forks[stream]].stream] + 1
        place = "" if instruction.source is None else f"  # line {instruction.source.line}"
        indent = "    " * depths[stream]
        lines.append(f"{index:>4} {indent}[{stream}] {describe(instruction.node)}{place}")
    if graph.stopped is not None:
        lines.append(f"     … {graph.stopped}")
    elif graph.result != NOTHING:
        lines.append(f"     return {value_text(graph.result)}")
    return "\n".join(lines)


def _parameter(parameter: Parameter) -> str:
    if parameter.is_required:
        return parameter.name
    return f"{parameter.name}{' is ' if parameter.is_fixed else '='}{_constant(parameter.default, WIDTH)}"


def describe(node: Node, width: int = WIDTH) -> str:
    """An instruction in one line."""
    said = _DESCRIBE[type(node)](node, width) if type(node) in _DESCRIBE else type(node).__name__.lower()
    return said if said.isprintable() else "".join(one if one.isprintable() else repr(one)[1:-1] for one in said)


def shortened(text: str, width: int) -> str:
    """The text as a JSON string, its middle left out where it is longer than `width`."""
    if len(text) > width:
        half = (width - 3) // 2
        text = f"{text[:half]} … {text[-half:]}"
    return json.dumps(text, ensure_ascii=False)


def _constant(value: object, width: int) -> str:
    return shortened(value, width) if isinstance(value, str) else f"{value!r:.{width}}"


def value_text(value: Value, width: int = WIDTH) -> str:
    """A value as an expression."""
    if isinstance(value, Const):
        return _constant(value.value, width)
    if isinstance(value, Arg):
        return f"${value.name}"
    if isinstance(value, VarRef):
        form = "" if value.form == "value" else f".{value.form}"
        return f"@{value.origin}{'.' * bool(value.name)}{value.name}{''.join(f'[{key!r}]' for key in value.path)}{form}"
    if isinstance(value, Joined):
        return " + ".join(value_text(part, width) for part in value.parts)
    if isinstance(value, Items):
        listed = ", ".join(value_text(one, width) for one in value.values)
        if value.is_tuple:
            return f"({listed},)" if len(value.values) == 1 else f"({listed})"
        return f"[{listed}]"
    return "{" + ", ".join(f"{key!r}: {value_text(entry, width)}" for key, entry in value.entries) + "}"


def _gen(node: Gen, width: int) -> str:
    said = {f.name: getattr(node.sampling, f.name) for f in dataclasses.fields(node.sampling)}
    options = [f"{key}={_constant(value, width)}" for key, value in said.items() if value is not None]
    if node.constraint is not None:
        options.append(f"{type(node.constraint).__name__}{_constraint_detail(node.constraint, width)}")
    options += [f"{key}={getattr(node, key)!r}" for key in ("timeout", "priority") if getattr(node, key) is not None]
    options += ["token_healing"] if node.token_healing else []
    options += ["reasoning before it"] if node.reasoning is not None else []
    return f"{node.name or '_'} = gen({', '.join(options)})"


def _constraint_detail(constraint: object, width: int) -> str:
    for field in ("pattern", "options", "schema", "text"):
        if hasattr(constraint, field):
            found = getattr(constraint, field)
            return f" {shortened(found if isinstance(found, str) else ', '.join(map(str, found)), width // 2)}"
    return ""


def _select(node: Select, width: int) -> str:
    named = shortened(", ".join(node.choices), width)
    drawn = f", temperature={node.temperature:g}" if node.temperature else ""
    return f"{node.name or '_'} = select({named}, {node.method.name}{drawn})"


def _join(node: Join, _: int) -> str:
    names = ", ".join(node.names) or "nothing"
    errors = ", errors as values" if node.return_exceptions else ""
    return f"join {_streams(node.children)}: {names}{errors}"


def _streams(children: tuple[int, ...]) -> str:
    if len(children) > 2 and children == tuple(range(children[0], children[-1] + 1)):
        return f"[{children[0]}–{children[-1]}]"
    return " ".join(f"[{child}]" for child in children)


def _image(node: Image, width: int) -> str:
    return f"image {shortened(node.source, width // 2)}"


def _call(node: Call, width: int) -> str:
    handed_over = ", ".join(f"{name}={value_text(value, width)}" for name, value in node.arguments)
    return f"call {node.graph.name}({handed_over})"


_DESCRIBE: Mapping[type, Callable[[Any, int], str]] = MappingProxyType(
    {
        Text: lambda node, width: shortened(node.text, width),
        Arg: lambda node, _: value_text(node),
        VarRef: lambda node, _: value_text(node),
        Image: _image,
        Gen: _gen,
        Select: _select,
        RoleBegin: lambda node, _: f"<{node.role}>",
        RoleEnd: lambda node, _: f"</{node.role}>",
        ScopeBegin: lambda node, _: f"{node.name} begins",
        ScopeEnd: lambda node, _: f"{node.name} ends",
        Fork: lambda node, _: f"fork {_streams(node.children)}",
        Join: _join,
        Concat: lambda node, _: f"concat {_streams(node.children)}",
        Checkpoint: lambda node, _: f"checkpoint {node.index}",
        Rollback: lambda node, _: f"rollback to {node.index}",
        SetVar: lambda node, width: f"{node.name} is {value_text(node.value, width)}",
        Call: _call,
    }
)
