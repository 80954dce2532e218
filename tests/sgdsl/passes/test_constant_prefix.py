from __future__ import annotations

import sgdsl as sg
from sgdsl.ir import Arg, Text
from sgdsl.passes.constant_prefix import constant_prefix


@sg.function
def program(s: sg.ProgramState, tone: str, topic: str) -> None:
    s["kept"] = 1
    s += sg.system("Be " + tone)
    with s.user(), s.var_scope("q"):
        s += topic
    s += sg.gen("a")


def test_it_ends_at_the_first_that_may_differ() -> None:
    graph = program.trace()
    assert [one.node for one in constant_prefix(graph)][1:] == [Text("Be ")]
    assert len(constant_prefix(program.trace(tone="kind"))) == 5


def test_arguments_that_a_batch_shares_are_constant() -> None:
    graph = program.trace()
    batch = [{"tone": "kind", "topic": "a"}, {"tone": "kind", "topic": "b"}]
    found = [one.node for one in constant_prefix(graph, batch)]
    assert found[1:3] == [Text("Be "), Text("kind")]
    assert Arg("topic") not in found
    assert len(constant_prefix(graph, batch[:1])) == 9
    assert len(constant_prefix(graph, [{"tone": 1, "topic": "a"}])) == 2
    assert len(constant_prefix(graph, [*batch, {"topic": "c"}])) == 2
