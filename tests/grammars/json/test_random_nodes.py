"""Random nodes: forms against a plain reading of what the nodes say."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grammars.json import node as n
from grammars.json.node import FALSE, TRUE, Node, Nodes
from grammars.json.shapes import Shapes
from grammars.json.unlike import freeze
from grammars.regular.charset import CharSet
from grammars.regular.language import Languages

NAMES = ("a", "b", "ab", "z")
TEXTS = ("", "a", "ab", "b")


def kind(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    names = {str: "string", list: "array", dict: "object"}
    return next((name for held, name in names.items() if isinstance(value, held)), "number")


def between(count: int, node: Any) -> bool:
    return bool(node.low <= count and (node.high is None or count <= node.high))


def chosen(keys: n.KeySet, value: dict[str, Any]) -> list[Any]:
    return [
        held
        for name, held in value.items()
        if (name in keys.names or any(pattern.contains(name) for pattern in keys.patterns)) != keys.negated
    ]


def holds(node: Node, value: Any) -> bool:  # noqa: C901 - one case for each kind of node
    """Whether a value satisfies a node, read word by word."""
    is_a = kind(value)
    match node:
        case n.All(items):
            return all(holds(item, value) for item in items)
        case n.Any(items):
            return any(holds(item, value) for item in items)
        case n.Ref():
            return holds(node.resolve(), value)
        case n.IsType(types):
            return is_a in types
        case n.StringIn(language):
            return is_a != "string" or language.contains(value)
        case n.StringLength():
            return is_a != "string" or between(len(value), node)
        case n.NumberIn(low, high, low_open, high_open):
            above = low is None or is_a != "number" or (value > low if low_open else value >= low)
            return is_a != "number" or (above and (high is None or (value < high if high_open else value <= high)))
        case n.MultipleOf(step, negated):
            return is_a != "number" or (Decimal(str(value)) % step == 0) != negated
        case n.Every(keys, inner):
            return is_a != "object" or all(holds(inner, held) for held in chosen(keys, value))
        case n.Some(keys, inner):
            return is_a == "object" and any(holds(inner, held) for held in chosen(keys, value))
        case n.CountProperties():
            return is_a != "object" or between(len(value), node)
        case n.EveryItem(first, last, inner):
            end = None if last is None else last + 1
            return is_a != "array" or all(holds(inner, item) for item in value[first:end])
        case n.SomeItem(first, last, inner):
            end = None if last is None else last + 1
            return is_a == "array" and any(holds(inner, item) for item in value[first:end])
        case n.CountItems():
            return is_a != "array" or between(len(value), node)
        case n.CountMatching(inner):
            return is_a != "array" or between(sum(holds(inner, item) for item in value), node)
        case n.Distinct(negated):
            return is_a != "array" or (len(set(map(freeze, value))) < len(value)) == negated


class Maker:
    """Draws random nodes, some of which refer back to the outermost."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self.draw = draw
        self.languages = Languages()
        self.nodes = Nodes()
        self.root: Node = TRUE

    def pick(self, *options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def bounds(self) -> tuple[int, int | None]:
        low = self.pick(0, 0, 1, 2)
        return low, self.pick(None, low, low + 1, 2 if low < 3 else low)

    def keys(self) -> n.KeySet:
        lang = self.languages
        starts_a = lang.concat(lang.literal("a"), lang.everything)
        short = lang.repeat(lang.chars(CharSet.of([(97, 98)])), 1, 1)
        names = tuple(self.draw(st.lists(st.sampled_from(NAMES[:3]), max_size=2, unique=True)))
        return n.KeySet(names, self.pick((), (), (starts_a,), (short,), (starts_a, short)), self.pick(False, True))

    def node(self, depth: int) -> Node:
        make, draw = self.nodes.make, self.draw
        if depth == 0:
            return self.scalar()
        inner = depth - 1
        match self.pick(*range(12)):
            case 0 | 1:
                return make(n.All, tuple(self.node(inner) for _ in range(draw(st.integers(2, 3)))))
            case 2 | 3:
                return make(n.Any, tuple(self.node(inner) for _ in range(draw(st.integers(2, 3)))))
            case 4 | 5:
                return make(n.Every, self.keys(), self.child(inner))
            case 6:
                return make(n.Some, self.keys(), self.child(inner))
            case 7:
                return make(n.CountProperties, *self.bounds())
            case 8:
                return make(self.pick(n.EveryItem, n.SomeItem), *self.bounds(), self.child(inner))
            case 9:
                return make(n.CountItems, *self.bounds())
            case 10:
                return self.counted()
            case _:
                return make(n.Distinct, self.pick(False, True))

    def child(self, depth: int) -> Node:
        if self.pick(*range(5)) == 0:
            return self.nodes.ref("root", False, lambda: self.root)
        return self.node(depth)

    def counted(self) -> Node:
        texts = self.languages.literals(self.draw(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=2)))
        string = self.nodes.make(n.IsType, frozenset(("string",)))
        inside = self.nodes.make(n.StringIn, texts)
        outside = self.nodes.make(n.StringIn, self.languages.complement(texts))
        pair = [inside, self.nodes.make(n.All, (string, outside))]
        if self.pick(False, True):
            pair.reverse()
        return self.nodes.make(n.CountMatching, *pair, *self.bounds())

    def scalar(self) -> Node:
        make, draw = self.nodes.make, self.draw
        match self.pick(*range(7)):
            case 0 | 1:
                return make(n.IsType, draw(st.frozensets(st.sampled_from(n.TYPES), min_size=1, max_size=4)))
            case 2:
                language = self.languages.literals(draw(st.lists(st.sampled_from(TEXTS), max_size=3)))
                return make(n.StringIn, self.pick(language, self.languages.complement(language)))
            case 3:
                return make(n.StringLength, *self.bounds())
            case 4:
                low = self.pick(None, Decimal(0), Decimal(1))
                return make(n.NumberIn, low, self.pick(None, Decimal(1), Decimal(2)), self.pick(False, True), False)
            case 5:
                return make(n.MultipleOf, self.pick(Decimal(1), Decimal("0.5")), self.pick(False, True))
            case _:
                return self.pick(TRUE, FALSE)


def values() -> st.SearchStrategy[Any]:
    scalars = st.sampled_from([None, True, False, 0, 1, 2, 0.5, -1, 3, *TEXTS, "ba"])
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
        max_leaves=6,
    )


@pytest.mark.parametrize("key_order", ["any", "schema"])
def test_forms_lead_through_just_the_values_that_hold(follower: Any, key_order: Any) -> None:
    @settings(max_examples=300, derandomize=True, deadline=None, database=None)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        maker = Maker(data.draw)
        root = maker.root = maker.node(3)
        shapes = Shapes(maker.languages, maker.nodes, key_order)
        follow = follower(shapes)
        for value in data.draw(st.lists(values(), min_size=4, max_size=8)):
            wanted = holds(root, value)
            orders = (
                [dict(order) for order in itertools.permutations(value.items())] if kind(value) == "object" else [value]
            )
            found = [follow.accepts(root, order) for order in orders]
            assert not any(found) or wanted, f"accepts {value}"
            if key_order == "any" or not wanted:
                assert all(accepted == wanted for accepted in found), f"refuses {value}"
            assert not wanted or not shapes.is_empty(root)
        if not shapes.is_empty(root):
            value = follow.walk(root, random.Random(data.draw(st.integers(0, 999))))
            assert holds(root, value), f"leads to {value}"

    check()
