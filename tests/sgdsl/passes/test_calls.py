from __future__ import annotations

import sgdsl as sg
from sgdsl.ir import Call, Gen, Graph, Select
from sgdsl.passes.calls import calls_of


def named(graph: Graph) -> dict[int, str]:
    return {
        index: one.node.graph.name if isinstance(one.node, Call) else str(one.node.name)
        for index, one in enumerate(graph)
        if isinstance(one.node, Gen | Select | Call)
    }


@sg.function
def inner(s: sg.ProgramState, text: str) -> str:
    s += text + sg.gen("x")
    return s["x"]


@sg.function
def program(s: sg.ProgramState) -> None:
    s += sg.gen("first")
    group = s.fork(2)
    group += sg.gen("left") + sg.select("choice", ["a", "b"])
    group.join(return_exceptions=True)
    point = s.checkpoint()
    s += sg.gen("draft")
    s.rollback(point)
    with s.var_scope("scope"):
        s += sg.gen("second")
    s["kept"] = [1, s["first"]]
    s += s.text_of("kept") + s["choice"][0] + inner(s["scope"])
    s += sg.gen("last")


def test_what_each_call_needs_and_goes_on_from() -> None:
    graph = program.trace()
    names, found = named(graph), calls_of(graph)
    parents = [(names[one], None if parent is None else names[parent]) for one, parent in found.parents.items()]
    assert parents == [
        ("first", None),
        ("left", "first"),
        ("choice", "left"),
        ("left", "first"),
        ("choice", "left"),
        ("draft", "first"),
        ("second", "first"),
        ("inner", None),
        ("last", "second"),
    ]
    needs = [sorted({names[needed] for needed in found.needs[one]}) for one in found.needs]
    assert needs == [
        [], ["first"], ["left"], ["first"], ["left"], ["first"], ["first"], ["second"],
        ["choice", "first", "inner", "second"],
    ]  # fmt: skip
    assert [sorted(names[one] for one in level) for level in found.levels()] == [
        ["first"],
        ["draft", "left", "left", "second"],
        ["choice", "choice", "inner"],
        ["last"],
    ]


def test_nothing_is_called() -> None:
    assert calls_of(Graph(name="p")).levels() == []
