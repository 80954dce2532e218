from __future__ import annotations

import pytest

import sgdsl as sg
from sgdsl.errors import ProgramError
from sgdsl.ir import Gen, Node, RoleBegin, Select, Text
from sgdsl.lead import Lead
from sgdsl.source import Source
from sgdsl.step import Step
from sgdsl.types import typed

HERE = Source("/a/b.py", 7, "ask")


def step(node: Node | str) -> Step:
    if isinstance(node, str):
        return Step(Text(node), HERE, node)
    return Step(node, HERE)


def test_texts_may_be_cut_otherwise() -> None:
    lead = Lead([step("one two"), step(" three"), step(Gen(name="a"))])
    assert [lead.meet(step(text))[1] for text in ("one", " two thr", "ee")] == [None] * 3
    foreseen, rest = lead.meet(step(Gen(name="a")))
    assert (foreseen.node, rest) == (Gen(name="a"), None)
    assert not lead


def test_what_goes_beyond_it_is_still_to_be_executed() -> None:
    lead = Lead([step("one")])
    said = step("one and more")
    assert lead.meet(said) == (said, " and more")
    assert said.text == "one and more"
    assert not lead


def test_foreseen_steps_are_kept_and_their_texts_are_not_used_up() -> None:
    foreseen = [step("one"), step(Gen(name="a"))]
    lead = Lead(foreseen)
    lead.meet(step("one"))
    assert foreseen[0].text == "one"
    assert lead.meet(step(Gen(name="a")))[0] is foreseen[1]


def test_types_are_compared_and_not_their_parsers() -> None:
    assert Lead([step(Gen(name="a", typed=typed(bool)))]).meet(step(Gen(name="a", typed=typed(bool))))[1] is None
    with pytest.raises(ProgramError):
        Lead([step(Gen(name="a", typed=typed(bool)))]).meet(step(Gen(name="a", typed=typed(int))))


@pytest.mark.parametrize(
    ("foreseen", "said", "message"),
    [
        (["one"], "two", "the program says 'two', and said 'one' when it was compiled"),
        (["one", Gen(name="a")], "one two", "the program says 'one two', and said 'gen \"a\"' when it was compiled"),
        ([Gen(name="a")], Gen(name="b"), "says 'gen \"b\"', and said 'gen \"a\"' when"),
        ([Gen(name="a", timeout=1)], Gen(name="a"), "says 'gen \"a\"', and said 'gen \"a\"' when"),
        (["one"], Gen(name="a"), "says 'gen \"a\"', and said 'one' when"),
        ([RoleBegin("user")], "one", "says 'one', and said 'rolebegin' when"),
    ],
)
def test_what_was_not_foreseen(foreseen: list[Node | str], said: Node | str, message: str) -> None:
    with pytest.raises(ProgramError) as caught:
        Lead([step(node) for node in foreseen]).meet(step(said))
    assert message in str(caught.value)
    assert str(caught.value).startswith("b.py:7 in ask: ")


def test_what_is_left_over() -> None:
    lead = Lead([step("one"), step(Select(name="a", choices=("x",), method=sg.joint_likelihood))])
    assert "has ended, and said 'one' when it was compiled" in str(lead.left_over())
    lead.meet(step("one"))
    assert "said 'select \"a\"' when it was compiled" in str(lead.left_over())
