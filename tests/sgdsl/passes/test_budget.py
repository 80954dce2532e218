from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sgdsl as sg
from sgdsl.passes.budget import budget
from sgdsl.passes.expand_roles import expand_roles
from sgdsl.passes.room import room
from sgdsl.passes.units import with_arguments


def count(text: str) -> int:
    return len(text)


def found(program: Any, length: int, **arguments: Any) -> list[tuple[str, str]]:
    findings = budget(with_arguments(program.trace(), arguments), count, length)
    return [(finding.severity, finding.message.partition(":")[0]) for finding in findings]


@sg.function
def plain(s: sg.ProgramState, topic: str) -> None:
    s += "12345" + topic + sg.gen("a", max_tokens=3)
    s += sg.select("b", ["x", "yyyy"])


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (14, []),
        (13, [("warning", "select b")]),
        (10, [("warning", "select b")]),
        (8, [("warning", "gen a"), ("warning", "select b")]),
        (7, [("error", "gen a"), ("error", "select b")]),
    ],
)
def test_what_the_context_has_no_room_for(length: int, expected: list[tuple[str, str]]) -> None:
    assert found(plain, length, topic="67") == expected


def test_what_is_not_known_counts_at_least() -> None:
    assert found(plain, 5) == []
    assert found(plain, 3) == [("error", "gen a"), ("error", "select b")]


def test_forks_rollbacks_and_called_programs() -> None:
    @sg.function
    def inner(s: sg.ProgramState) -> None:
        s += sg.user("1234567890") + sg.gen("inner", max_tokens=1)

    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += "123"
        group = s.fork(2)
        group[1] += "456" + sg.gen("child", max_tokens=2)
        point = s.checkpoint()
        s += "4567890" + sg.gen("draft", max_tokens=1)
        s.rollback(point)
        s += "4" + sg.gen("end", max_tokens=1)
        inner()

    graph = program.trace()
    errors = [one.message.partition(":")[0] for one in budget(graph, count, 5) if one.severity == "error"]
    assert errors == ["gen child", "gen draft", "gen inner"]
    written_out = budget(expand_roles(graph, None), count, 20)
    assert [one.message.partition(":")[0] for one in written_out] == ["gen inner"]


@given(topic=st.text(max_size=20), max_tokens=st.integers(0, 9), length=st.integers(1, 60))
def test_nothing_is_found_where_there_is_room(topic: str, max_tokens: int, length: int) -> None:
    graph = expand_roles(roomy.trace(), None)
    if room(graph).most({"topic": topic}, max_tokens) <= length:
        assert budget(with_arguments(graph, {"topic": topic}), count, length, max_tokens) == []


@sg.function
def roomy(s: sg.ProgramState, topic: str) -> None:
    s += topic + sg.gen("a") + topic
    with s.fork(2) as group:
        group += "é" + sg.select("b", ["x", "éé"]) + sg.gen("c", max_tokens=2)


def test_room_counts_everything_once() -> None:
    graph = roomy.trace()
    assert room(graph).most({"topic": "é"}, 10) == 2 * 2 + 10 + 2 * (2 + 4 + 2)
    assert room(graph).most({"topic": 3}) == 128 + 16
