"""A plain reading of nodes, as the oracle's counterpart: what a node says of a value."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from grammars.json import node as n
from grammars.json.node import Node, Nodes
from grammars.json.reader.builder import Builder
from grammars.json.reader.constants import canonical
from grammars.json.reader.document import Library, Target
from grammars.json.reader.logic import Logic
from grammars.regular.language import Languages


def kind(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    for python, name in ((str, "string"), (list, "array"), (dict, "object")):
        if isinstance(value, python):
            return name
    return "number"


def exact(value: Any) -> Decimal:
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def within(count: int, low: int, high: int | None) -> bool:
    return low <= count and (high is None or count <= high)


def in_keys(keys: n.KeySet, name: str) -> bool:
    return (name in keys.names or any(language.contains(name) for language in keys.patterns)) != keys.negated


def in_range(node: n.NumberIn, value: Decimal) -> bool:
    above = node.low is None or (node.low < value if node.low_open else node.low <= value)
    below = node.high is None or (value < node.high if node.high_open else value <= node.high)
    return above and below


def in_window(node: n.EveryItem | n.SomeItem, value: list[object]) -> list[object]:
    return value[node.first : None if node.last is None else node.last + 1]


def holds(node: Node, value: Any) -> bool:
    """Whether a value satisfies a node."""
    if isinstance(node, n.All | n.Any):
        return (all if isinstance(node, n.All) else any)(holds(item, value) for item in node.items)
    if isinstance(node, n.Ref):
        return holds(node.resolve(), value)
    if isinstance(node, n.IsType):
        return kind(value) in node.types
    if isinstance(node, n.StringIn | n.StringLength):
        return not isinstance(value, str) or holds_for_text(node, value)
    if isinstance(node, n.NumberIn | n.MultipleOf | n.WrittenWhole):
        return kind(value) != "number" or holds_for_number(node, value)
    if isinstance(node, n.Every | n.Some | n.CountProperties):
        return holds_for_object(node, value) if isinstance(value, dict) else not isinstance(node, n.Some)
    return holds_for_array(node, value) if isinstance(value, list) else not isinstance(node, n.SomeItem)


def holds_for_text(node: n.StringIn | n.StringLength, value: str) -> bool:
    return node.language.contains(value) if isinstance(node, n.StringIn) else within(len(value), node.low, node.high)


def holds_for_number(node: n.NumberIn | n.MultipleOf | n.WrittenWhole, read: int | float | Decimal) -> bool:
    if isinstance(node, n.WrittenWhole):
        return isinstance(read, int) != node.negated
    value = exact(read)
    if isinstance(node, n.NumberIn):
        return in_range(node, value)
    return ((Fraction(value) / Fraction(node.step)).denominator == 1) != node.negated


def holds_for_object(node: n.Every | n.Some | n.CountProperties, value: dict[str, object]) -> bool:
    if isinstance(node, n.CountProperties):
        return within(len(value), node.low, node.high)
    verdicts = (holds(node.node, item) for name, item in value.items() if in_keys(node.keys, name))
    return all(verdicts) if isinstance(node, n.Every) else any(verdicts)


def holds_for_array(
    node: n.EveryItem | n.SomeItem | n.CountItems | n.CountMatching | n.Distinct, value: list[object]
) -> bool:
    if isinstance(node, n.CountItems):
        return within(len(value), node.low, node.high)
    if isinstance(node, n.Distinct):
        return (len({canonical(item) for item in value}) < len(value)) == node.negated
    if isinstance(node, n.CountMatching):
        matching = [holds(node.node, item) for item in value]
        assert [holds(node.opposite, item) for item in value] == [not one for one in matching]
        return within(sum(matching), node.low, node.high)
    verdicts = (holds(node.node, item) for item in in_window(node, value))
    return all(verdicts) if isinstance(node, n.EveryItem) else any(verdicts)


@pytest.fixture(scope="session")
def satisfies() -> Callable[[Node, object], bool]:
    """Whether a value satisfies a node, read the plain way."""
    return holds


@pytest.fixture(scope="session")
def both_signs() -> Callable[..., tuple[Node, Node]]:
    """Builds the node of a schema and its negation, each on its own."""

    def build(schema: object, *, formats: bool = False, registry: dict[str, object] | None = None) -> tuple[Node, Node]:
        nodes = []
        for negated in (False, True):
            library = Library(schema, registry, max_depth=128, max_schemas=200_000)
            logic = Logic(Nodes(), Languages(), 1_000_000)
            builder = Builder(library, logic, formats=formats, max_depth=128)
            nodes.append(builder.finish(Target(schema, "", library.main), negated))
        return nodes[0], nodes[1]

    return build
