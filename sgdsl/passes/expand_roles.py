"""Expand roles: what begins and ends chat messages is written out as one model's chat template has it."""

from __future__ import annotations

from dataclasses import replace

from sgdsl.chat import CHATML, ChatTemplate, Conversation
from sgdsl.ir import Call, Checkpoint, Fork, Graph, Instruction, RoleBegin, RoleEnd, Rollback

__all__ = ["expand_roles"]


def expand_roles(graph: Graph, template: ChatTemplate | None) -> Graph:
    """The graph with the text of every role edge in place, following the conversation of each stream.

    The graphs of called programs are written out too.

    Args:
        template: the model's; ChatML where it has none.

    Raises:
        InvalidArgument: the template does not take these roles in this order.
    """
    conversations = {0: Conversation(template or CHATML)}
    marks: dict[tuple[int, int], Conversation] = {}
    expanded: list[Instruction] = []
    for instruction in graph.instructions:
        node, stream = instruction.node, instruction.stream
        if isinstance(node, RoleBegin):
            conversations[stream], text = conversations[stream].begin(node.role)
            instruction = replace(instruction, node=RoleBegin(node.role, text))
        elif isinstance(node, RoleEnd):
            conversations[stream], text = conversations[stream].end(node.role)
            instruction = replace(instruction, node=RoleEnd(node.role, text))
        elif isinstance(node, Call):
            instruction = replace(instruction, node=replace(node, graph=expand_roles(node.graph, template)))
        elif isinstance(node, Fork):
            conversations.update(dict.fromkeys(node.children, conversations[stream]))
        elif isinstance(node, Checkpoint):
            marks[stream, node.index] = conversations[stream]
        elif isinstance(node, Rollback):
            conversations[stream] = marks[stream, node.index]
        expanded.append(instruction)
    return replace(graph, instructions=tuple(expanded))
