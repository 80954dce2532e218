from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sgdsl.errors import InvalidArgument, NotSupported
from sgdsl.ir import (
    Arg,
    Call,
    Checkpoint,
    Concat,
    Const,
    Entries,
    Fork,
    Gen,
    Graph,
    Instruction,
    Items,
    Join,
    Joined,
    Parameter,
    Rollback,
    ScopeBegin,
    ScopeEnd,
    SetVar,
    Text,
    VarRef,
)
from sgdsl.types import typed


def made(*nodes: Any, **fields: Any) -> Graph:
    """A graph of nodes, or of pairs of a stream and a node."""
    pairs = [one if isinstance(one, tuple) else (0, one) for one in nodes]
    return Graph(name="p", instructions=tuple(Instruction(*pair) for pair in pairs), **fields)


@pytest.mark.parametrize(
    ("nodes", "match"),
    [
        ([(1, Text("a"))], "instruction 0: stream 1 has not begun"),
        ([Fork(())], r"instruction 0: children=\(\) is not allowed"),
        ([Fork((1, 1))], r"children=\(1, 1\) is not allowed: new streams"),
        ([Fork((1,)), Fork((1,))], "instruction 1: children"),
        ([Fork((0,))], "instruction 0: children"),
        ([Join((1,), ())], r"children=\(1,\) is not allowed: other streams"),
        ([Join((0,), ())], r"children=\(0,\) is not allowed: other streams"),
        ([Fork((1,)), Concat((1, 2))], "instruction 1: children"),
        ([Rollback(0)], "its stream has no checkpoint 0"),
        ([Checkpoint(0), Fork((1,)), (1, Rollback(0))], "instruction 2: its stream has no checkpoint 0"),
        ([Checkpoint(1)], "checkpoint 1 is not its stream's next"),
        ([Checkpoint(0), Rollback(-1)], "no checkpoint -1"),
        ([Checkpoint(0), Checkpoint(1), Rollback(0), Rollback(1)], "instruction 3: its stream has no checkpoint 1 to"),
        ([VarRef(0, "a")], "instruction 0: 'a' is read before it is written"),
        ([VarRef(1, "a"), Gen(name="a")], "'a' is read before it is written"),
        ([Gen(name="a"), VarRef(-1, "a")], "'a' is read before it is written"),
        ([Gen(name="a"), VarRef(0, "b")], "instruction 0 does not bind 'b'"),
        ([Text("a"), SetVar("b", Items((VarRef(0, "a"),)))], "instruction 0 does not bind 'a'"),
        ([Arg("topic")], "the program has no parameter 'topic'"),
        ([Call(Graph(name="q"), (("a", Joined((Arg("b"),))),))], "the program has no parameter 'b'"),
    ],
)
def test_instructions_that_cannot_stand_where_they_stand(nodes: list[Any], match: str) -> None:
    with pytest.raises(InvalidArgument, match=match):
        made(*nodes)


def test_results_are_checked() -> None:
    with pytest.raises(InvalidArgument, match="result: 'a' is read before it is written"):
        made(Text("a"), result=VarRef(1, "a"))
    assert made(Gen(name="a"), result=VarRef(0, "a")).result == VarRef(0, "a")


def test_streams_and_forks(graph: Graph) -> None:
    forked = made(Text("a"), Fork((1, 2)), (1, Text("b")), (2, Fork((3,))), (3, Text("c")), (0, Text("d")))
    assert forked.num_streams == 4
    assert forked.forks() == {1: 1, 2: 1, 3: 3}
    assert forked.stream(0) == [0, 1, 5]
    assert forked.lineage(4) == forked.lineage(2) == [0]
    assert forked.lineage(5) == [0, 1]
    assert graph.num_streams == 4
    assert len(graph) == len(list(graph)) == len(graph.instructions)


def test_what_was_taken_back_is_in_no_lineage() -> None:
    graph = made(
        Text("a"), Checkpoint(0), Text("b"), Checkpoint(1), Text("c"), Rollback(1), Text("d"), Rollback(0), Text("e")
    )  # fmt: skip
    assert graph.lineage(8) == [0]
    assert graph.lineage(6) == [0, 1, 2]


def test_references_follow_their_instructions() -> None:
    graph = made(
        Text("a"), Gen(name="x"), VarRef(1, "x"), SetVar("y", Items((VarRef(1, "x"),))),
        Call(Graph(name="q"), (("a", VarRef(3, "y")),)), result=Entries((("z", VarRef(4, "", ("k",))),)),
    )  # fmt: skip
    moved = graph.rewritten(graph.instructions[1:], {old: old - 1 for old in range(1, 5)})
    assert moved == made(
        Gen(name="x"), VarRef(0, "x"), SetVar("y", Items((VarRef(0, "x"),))),
        Call(Graph(name="q"), (("a", VarRef(2, "y")),)), result=Entries((("z", VarRef(3, "", ("k",))),)),
    )  # fmt: skip


def test_the_arguments_of_a_run() -> None:
    parameters = (Parameter(name="a", is_required=True), Parameter(name="b", default="x"))
    graph = made(parameters=(*parameters, Parameter(name="c", default=3, is_fixed=True)))
    assert graph.arguments({"a": 1}) == {"a": 1, "b": "x", "c": 3}
    assert graph.arguments({"a": 1, "b": "y", "c": 3}) == {"a": 1, "b": "y", "c": 3}
    with pytest.raises(InvalidArgument, match="c=4 is not allowed: the graph was made for 3"):
        graph.arguments({"a": 1, "c": 4})


def test_arguments_that_cannot_be_compared() -> None:
    array = np.arange(3)
    graph = made(parameters=(Parameter(name="a", default=array, is_fixed=True),))
    assert graph.arguments({"a": array}) == graph.arguments({}) == {"a": array}
    with pytest.raises(InvalidArgument, match=r"a=array\(\[0, 1, 2\]\) is not allowed"):
        graph.arguments({"a": np.arange(3)})
    with pytest.raises(NotSupported, match="the default array"):
        graph.to_json()


def test_what_is_certain_to_be_text() -> None:
    inner = made(Gen(name="x"), result=Items((VarRef(0, "x"), Const(3))))
    graph = made(
        Gen(name="a"), Gen(name="b", typed=typed(int)), ScopeBegin("c"), ScopeEnd("c"), SetVar("d", Const(3)),
        Call(inner, ()),
    )  # fmt: skip
    texts = [
        VarRef(0, "a"),
        VarRef(1, "b", (), "text"),
        VarRef(3, "c"),
        VarRef(4, "d", (), "text"),
        VarRef(5, "", (0,)),
    ]
    others = [VarRef(0, "a", (), "meta"), VarRef(1, "b"), VarRef(4, "d"), VarRef(5, "", (1,)), VarRef(5, ""), Const(1)]
    assert [graph.is_text(one) for one in (*texts, Const("x"), Joined(()))] == [True] * 7
    assert [graph.is_text(one) for one in others] == [False] * 6
