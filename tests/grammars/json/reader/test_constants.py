"""Values as constraints: equal as JSON Schema has it, whole, and their negations."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grammars.errors import InvalidSpec
from grammars.json.node import Node, Nodes
from grammars.json.reader.constants import canonical, one_of_values, read_values
from grammars.json.reader.logic import Logic
from grammars.regular.language import Languages

Satisfies = Callable[[Node, object], bool]

scalars = st.none() | st.booleans() | st.integers(-1, 2) | st.sampled_from([0.0, 1.0, 1.5]) | st.sampled_from("ab")
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (1, 1.0, True),
        (0, -0.0, True),
        (1, True, False),
        (0, False, False),
        ([1], [1.0], True),
        ([0], [False], False),
        ({"a": 1, "b": 2}, {"b": 2.0, "a": 1}, True),
        ({}, [], False),
        ("1", 1, False),
        (None, False, False),
        (0.1, 0.1000000000000001, False),
        (10**20, 1e20, True),
    ],
)
def test_equality(one: object, other: object, equal: bool) -> None:
    assert (canonical(one) == canonical(other)) is equal


@settings(deadline=None, max_examples=200)
@given(st.lists(values, max_size=4), st.lists(values, min_size=1, max_size=6))
def test_both_signs(satisfies: Satisfies, listed: list[object], samples: list[object]) -> None:
    wanted = read_values(listed)
    logic = Logic(Nodes(), Languages(), 100_000)
    node = one_of_values(wanted.values(), logic, False)
    opposite = one_of_values(wanted.values(), logic, True)
    for value in [*samples, *listed]:
        assert satisfies(node, value) is (canonical(value) in wanted)
        assert satisfies(opposite, value) is (canonical(value) not in wanted)


def test_values_that_are_no_json() -> None:
    with pytest.raises(InvalidSpec, match="no JSON value"):
        canonical({1, 2})
    with pytest.raises(InvalidSpec, match="no JSON number"):
        canonical(float("nan"))
