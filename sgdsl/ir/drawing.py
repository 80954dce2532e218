"""Drawing: a graph for Graphviz and for Mermaid. A box is an instruction or a run of text, a cluster a stream."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sgdsl.ir.graph import values_of
from sgdsl.ir.nodes import Arg, Call, Concat, Fork, Gen, Join, RoleBegin, RoleEnd, Select, Text, VarRef
from sgdsl.ir.text import describe
from sgdsl.ir.values import references

if TYPE_CHECKING:
    from sgdsl.ir.graph import Graph

__all__ = ["to_dot", "to_mermaid"]

WIDTH = 44
_RUNS = (Text, Arg, RoleBegin, RoleEnd)


@dataclass(slots=True)
class _Box:
    stream: int
    kind: str
    lines: list[str]


@dataclass(slots=True)
class _Picture:
    """Boxes in order, and arrows between them: (from, to, kind)."""

    boxes: list[_Box] = field(default_factory=list)
    arrows: list[tuple[int, int, str]] = field(default_factory=list)


def _picture(graph: Graph) -> _Picture:
    """Runs of constant text become one box; everything else is a box of its own."""
    picture = _Picture()
    last: dict[int, int] = {}
    place: dict[int, int] = {}
    for index, instruction in enumerate(graph.instructions):
        stream, node = instruction.stream, instruction.node
        before = last.get(stream)
        if isinstance(node, _RUNS) and before is not None and picture.boxes[before].kind == "text":
            picture.boxes[before].lines.append(describe(node, WIDTH))
            place[index] = before
            continue
        box = len(picture.boxes)
        picture.boxes.append(_Box(stream, _kind(node), [describe(node, WIDTH)]))
        place[index], last[stream] = box, box
        if before is not None:
            picture.arrows.append((before, box, "next"))
        if isinstance(node, Fork):
            last.update(dict.fromkeys(node.children, box))
        if isinstance(node, Join | Concat):
            picture.arrows += [(last[child], box, "join") for child in node.children]
        reads = [one.origin for value in values_of(node) for one in references(value) if isinstance(one, VarRef)]
        picture.arrows += [(place[origin], box, "read") for origin in dict.fromkeys(reads)]
    return picture


def _kind(node: object) -> str:
    if isinstance(node, _RUNS):
        return "text"
    return "model" if isinstance(node, Gen | Select | Call) else "other"


def to_dot(graph: Graph) -> str:
    """Graphviz's language: `dot -Tsvg` draws it."""
    picture = _picture(graph)
    lines = [
        f"digraph {_quoted(graph.name)} {{",
        '  rankdir=TB; node [shape=box, fontname="Helvetica", fontsize=10, style="rounded,filled", fillcolor=white];',
        "  edge [color=gray40];",
    ]
    fills = {"text": "gray95", "model": "lightblue", "other": "white"}
    for stream in dict.fromkeys(box.stream for box in picture.boxes):
        lines.append(f"  subgraph cluster_{stream} {{ label={_quoted(f'stream {stream}')}; color=gray80; fontsize=9;")
        for index, box in enumerate(picture.boxes):
            if box.stream == stream:
                label = r"\l".join(_escaped(line) for line in box.lines) + r"\l"
                lines.append(f'    n{index} [label="{label}", fillcolor={fills[box.kind]}];')
        lines.append("  }")
    styles = {"next": "", "join": " [style=dashed]", "read": " [style=dotted, constraint=false]"}
    lines += [f"  n{start} -> n{end}{styles[kind]};" for start, end, kind in picture.arrows]
    return "\n".join([*lines, "}", ""])


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


def _entities(text: str) -> str:
    """What Mermaid or HTML would read as their own, by number in Mermaid's way of writing it."""
    return "".join(f"#{ord(one)};" if one in "\"'<>&#`\\" else one for one in text)


def to_mermaid(graph: Graph) -> str:
    """Mermaid's language, as pages of documentation show it."""
    picture = _picture(graph)
    lines = ["flowchart TB"]
    for stream in dict.fromkeys(box.stream for box in picture.boxes):
        lines.append(f'  subgraph s{stream}["stream {stream}"]')
        for index, box in enumerate(picture.boxes):
            if box.stream == stream:
                label = "<br/>".join(map(_entities, box.lines))
                lines.append(f'    n{index}["{label}"]:::{box.kind}')
        lines.append("  end")
    arrows = {"next": "-->", "join": "-.->", "read": "-. reads .->"}
    lines += [f"  n{start} {arrows[kind]} n{end}" for start, end, kind in picture.arrows]
    lines += ["  classDef text fill:#f2f2f2,stroke:#bbb", "  classDef model fill:#cfe6f5,stroke:#69a"]
    return "\n".join([*lines, "  classDef other fill:#fff,stroke:#bbb", ""])
