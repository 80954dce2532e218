"""Merge text: neighbouring constant texts of a stream become one instruction."""

from __future__ import annotations

from dataclasses import replace

from sgdsl.ir import Graph, Instruction, Text

__all__ = ["merge_text"]


def merge_text(graph: Graph) -> Graph:
    """The graph with each run of `Text` in a stream as one; what stands between them in other streams stays."""
    kept: list[Instruction] = []
    moved: dict[int, int] = {}
    last: dict[int, int] = {}
    for index, instruction in enumerate(graph.instructions):
        node, before = instruction.node, last.get(instruction.stream)
        if isinstance(node, Text) and before is not None and isinstance(kept[before].node, Text):
            merged = Text(_text(kept[before]) + node.text)
            kept[before] = replace(kept[before], node=merged)
            continue
        moved[index] = last[instruction.stream] = len(kept)
        kept.append(instruction)
    return graph.rewritten(kept, moved)


def _text(instruction: Instruction) -> str:
    node = instruction.node
    return node.text if isinstance(node, Text) else ""
