from __future__ import annotations

import dataclasses

import pytest

from sgdsl.ir import Gen, Graph, Text, nodes
from sgdsl.reasoning import Reasoning


def test_every_kind_of_node_is_frozen_and_equal_by_value(graph: Graph) -> None:
    for name in nodes.__all__:
        kind = getattr(nodes, name)
        assert not isinstance(kind, type) or kind.__dataclass_params__.frozen
    with pytest.raises(dataclasses.FrozenInstanceError):
        graph.instructions[1].node.text = "other"  # type: ignore[misc, union-attr]
    assert Text("a") == Text("a") != Text("b")
    assert hash(Gen(name="a")) == hash(Gen(name="a"))


def test_the_reasoning_has_a_name_where_the_answer_has_one() -> None:
    assert Gen(name="a", reasoning=Reasoning()).reasoning_name == "a_reasoning_content"
    assert Gen(name="a").reasoning_name is None
    assert Gen(name=None, reasoning=Reasoning()).reasoning_name is None
