from __future__ import annotations

from typing import Any

import pytest

import sgdsl as sg
from sgdsl.backends.mock_session import MockSession
from sgdsl.compiled import CompiledProgram
from sgdsl.ir import Arg, VarRef
from sgdsl.passes.expand_roles import expand_roles
from sgdsl.passes.units import Unit, constants, units, with_arguments


@sg.function
def inner(s: sg.ProgramState) -> None:
    s += "inner" + sg.gen("x")


@sg.function
def program(s: sg.ProgramState, topic: str) -> None:
    s += sg.user("a" + topic) + sg.assistant("b" + sg.gen("x") + "c")
    s += "d"
    inner()
    s["kept"] = "1"
    s += "e" + s["x"]
    point = s.checkpoint()
    s += "gone"
    s.rollback(point)
    with s.var_scope("scope"):
        s += "f"
    group = s.fork(2)
    group += "g" + sg.gen("y")
    group.join()
    s += "h"


def test_units_end_where_the_interpreter_cuts() -> None:
    graph = expand_roles(program.trace(), None)
    assert [(unit.stream, unit.parts) for unit in units(graph)] == [
        (0, ("<|im_start|>user\n", "a", Arg("topic"), "<|im_end|>\n")),
        (0, ("<|im_start|>assistant\n", "b")),
        (0, ("c", "<|im_end|>\n")),
        (0, ("d", "e", VarRef(6, "x"))),
        (0, ("f",)),
        (1, ("g",)),
        (2, ("g",)),
        (0, ("h",)),
    ]


def test_constants_are_known_in_every_run() -> None:
    graph = expand_roles(program.trace(), None)
    expected = ["<|im_start|>assistant\nb", "c<|im_end|>\n", "f", "g", "h", "inner"]
    assert constants(graph) == expected
    given = with_arguments(graph, {"topic": "cats"})
    assert constants(given) == ["<|im_start|>user\nacats<|im_end|>\n", *expected]
    assert with_arguments(graph, {"topic": 3}) == graph
    assert Unit(0, 1, ("a", Arg("b"))).text is None


def test_they_are_what_sessions_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    appended: list[Any] = []
    real = MockSession.append
    monkeypatch.setattr(MockSession, "append", lambda self, text: (appended.append(text), real(self, text))[1])
    graph = with_arguments(program.trace(), {"topic": "cats"})
    CompiledProgram(graph).run("cats", backend=sg.Mock())
    known = [unit.text for unit in units(expand_roles(graph, None)) if unit.text not in (None, "h")]
    assert sorted(appended) == sorted([*known, "inner", "demock"])
