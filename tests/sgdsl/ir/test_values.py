from __future__ import annotations

from typing import Any

import pytest

from sgdsl.ir import Arg, Const, Entries, Items, Joined, VarRef
from sgdsl.ir.values import NOTHING, as_text, evaluated, mapped, references

WHOLE = Entries((("a", Items((Arg("x"), Const(3)))), ("b", Joined((Const("<"), VarRef(4, "y", (0,)))))))


def look_up(found: Arg | VarRef) -> Any:
    return {"x": 7, "y": "text"}[found.name]


def test_values_are_made_of_what_is_there() -> None:
    assert evaluated(WHOLE, look_up) == {"a": [7, 3], "b": "<text"}
    assert evaluated(Items((Arg("x"),), is_tuple=True), look_up) == (7,)
    assert evaluated(NOTHING, look_up) is None
    assert evaluated(Joined(()), look_up) == ""


def test_joined_values_are_texts() -> None:
    with pytest.raises(TypeError, match=r"x: text is needed, not int 7; str\(\) makes text of it"):
        evaluated(Joined((Const("a"), Arg("x"))), look_up)
    with pytest.raises(TypeError, match="a value: text is needed, not list"):
        as_text([], Items(()))


def test_references_in_order_and_their_replacement() -> None:
    assert list(references(WHOLE)) == [Arg("x"), VarRef(4, "y", (0,))]
    assert list(references(Const("a"))) == []
    renamed = mapped(WHOLE, lambda one: Arg(one.name.upper()))
    assert list(references(renamed)) == [Arg("X"), Arg("Y")]
    assert mapped(WHOLE, lambda one: one) == WHOLE
