from __future__ import annotations

import time
from typing import Any

import pytest

import sgdsl as sg
from sgdsl.compiled import CompiledProgram
from sgdsl.ir import Checkpoint, Fork, Graph, Join, Rollback
from sgdsl.passes.parallel import parallel


@sg.function
def drafts(s: sg.ProgramState) -> Any:
    s += "Q"
    outer = s.checkpoint()
    s += "draft" + sg.gen("draft")
    inner = s.checkpoint()
    s += sg.gen("deeper")
    s.rollback(inner)
    draft = s["draft"]
    s.rollback(outer)
    s += "again" + sg.gen("again")
    s.rollback(outer)
    s += sg.user("A" + draft) + sg.gen("last")
    return s["last"]


def kinds(graph: Graph) -> list[str]:
    return [type(one.node).__name__ for one in graph if isinstance(one.node, Fork | Join | Checkpoint | Rollback)]


def test_stretches_that_are_taken_back_become_forks() -> None:
    graph = parallel(drafts.trace())
    assert kinds(graph).count("Rollback") == 0
    assert graph.num_streams == 4
    assert parallel(graph) == graph
    mock = sg.Mock(lambda prompt, params: f"<{len(prompt)}>")
    made, recorded = CompiledProgram(graph).run(backend=mock), drafts.run(backend=mock)
    assert made.text() == recorded.text()
    assert made.ret_value == recorded.ret_value
    assert "draft" not in made
    assert sorted(call.prompt for call in mock.calls[:4]) == sorted(call.prompt for call in mock.calls[4:])


def test_both_sides_run_at_once() -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        point = s.checkpoint()
        s += sg.gen("draft")
        s.rollback(point)
        s += "then" + sg.gen("last")

    took = {}
    for name, made in (("recorded", program), ("compiled", program.compile())):
        started = time.monotonic()
        made.run(backend=sg.Mock(latency=0.3))
        took[name] = time.monotonic() - started
    assert took["recorded"] >= 0.6
    assert took["compiled"] < 0.55


@pytest.mark.parametrize("what", ["no call", "a scope that ends inside"])
def test_stretches_that_are_not_worth_it_or_cannot(what: str) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        if what == "no call":
            point = s.checkpoint()
            s += "text"
        else:
            with s.var_scope("scope"):
                point = s.checkpoint()
                s += sg.gen("a")
        s.rollback(point)
        s += sg.gen("b")

    graph = program.trace()
    assert parallel(graph) == graph


def test_checkpoints_inside_are_counted_anew() -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        s.checkpoint()
        outer = s.checkpoint()
        s += sg.gen("a")
        inner = s.checkpoint()
        s += "gone"
        s.rollback(inner)
        s.rollback(outer)
        late = s.checkpoint()
        s += "gone too"
        s.rollback(late)
        s += sg.gen("b")

    graph = parallel(program.trace())
    numbered = [(one.stream, one.node) for one in graph if isinstance(one.node, Checkpoint | Rollback)]
    assert numbered == [
        (0, Checkpoint(0)),
        (0, Checkpoint(1)),
        (1, Checkpoint(0)),
        (1, Rollback(0)),
        (0, Checkpoint(2)),
        (0, Rollback(2)),
    ]
    mock = sg.Mock()
    assert CompiledProgram(graph).run(backend=mock).text() == program.run(backend=mock).text() == "mock"
