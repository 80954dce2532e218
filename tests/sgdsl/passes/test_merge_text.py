from __future__ import annotations

import sgdsl as sg
from sgdsl.ir import SetVar, Text, VarRef
from sgdsl.passes.merge_text import merge_text


def test_neighbouring_texts_become_one_and_references_follow() -> None:
    @sg.function
    def program(s: sg.ProgramState) -> str:
        s += "a"
        group = s.fork(2)
        for place, child in enumerate(group):
            child += "b"
            s += str(place)
            child += "c" + sg.gen("x")
        group.join()
        s["kept"] = s["x"]
        s += s["x"][1]
        s += "d"
        s += "e"
        return s["x"][0]

    graph = merge_text(program.trace())
    assert [one.node.text for one in graph if isinstance(one.node, Text)] == ["a", "bc", "01", "bc", "de"]
    first, second = (index for index, one in enumerate(graph) if type(one.node).__name__ == "Gen")
    assert graph.result == VarRef(first, "x")
    assert VarRef(second, "x") in [one.node for one in graph]
    assert isinstance(next(one.node for one in graph if isinstance(one.node, SetVar)).value.values[1], VarRef)
    source = next(one.source for one in graph if one.node == Text("de"))
    assert source is not None
    assert source.line == program.func.__code__.co_firstlineno + 11


def test_what_stands_between_keeps_texts_apart() -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        point = s.checkpoint()
        s += "a"
        s.rollback(point)
        s += "b"
        with s.user():
            s += "c"

    graph = program.trace()
    assert merge_text(graph) == graph
