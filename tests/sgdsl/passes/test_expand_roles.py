from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

import sgdsl as sg
from sgdsl.compiled import CompiledProgram
from sgdsl.errors import InvalidArgument
from sgdsl.ir import Call, RoleBegin, RoleEnd
from sgdsl.passes.expand_roles import expand_roles


class Template:
    def render(self, messages: Sequence[Mapping[str, Any]], *, add_generation_prompt: bool = False) -> str:
        if any(message["role"] == "system" for message in messages[1:]):
            raise ValueError("system comes first")
        return "[sys]" + "".join(f"[{message['role']}]{message['content']}[end]" for message in messages)


@sg.function
def inner(s: sg.ProgramState) -> None:
    s += sg.user("inner")


@sg.function
def talk(s: sg.ProgramState) -> None:
    s += sg.user("a")
    with s.fork(2) as group:
        group += sg.assistant("b")
    point = s.checkpoint()
    s += sg.user("gone")
    s.rollback(point)
    s += sg.assistant("c")
    inner()


def test_edges_follow_each_streams_conversation() -> None:
    graph = expand_roles(talk.trace(), Template())
    edges = [one.node for one in graph if isinstance(one.node, RoleBegin | RoleEnd)]
    assert edges[:2] == [RoleBegin("user", "[sys][user]"), RoleEnd("user", "[end]")]
    assert edges[2:6] == [RoleBegin("assistant", "[assistant]"), RoleEnd("assistant", "[end]")] * 2
    assert RoleBegin("assistant", "[assistant]") in edges[6:]
    call = next(one.node for one in graph if isinstance(one.node, Call))
    assert call.graph.instructions[0].node == RoleBegin("user", "[sys][user]")


@pytest.mark.parametrize("template", [None, Template()])
def test_the_text_is_the_same(template: Template | None) -> None:
    mock = sg.Mock(chat_template=template)
    expanded = CompiledProgram(expand_roles(talk.trace(), template)).run(backend=mock)
    recorded = talk.run(backend=mock)
    assert expanded.text() == recorded.text()
    assert expanded.messages() == recorded.messages()


def test_an_order_of_roles_that_the_template_refuses() -> None:
    graph = sg.function(lambda s: (s.user("a"), s.system("b"), None)[2]).trace()
    with pytest.raises(InvalidArgument, match="does not take a 'system' message here: system comes first"):
        expand_roles(graph, Template())
