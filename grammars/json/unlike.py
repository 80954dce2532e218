"""Values as constraints: equal to one value, or to none of several.

Used for `uniqueItems`, where what may come next depends on the items there are. Numbers are compared by value, so 1
and 1.0 are equal; `true` and 1 are not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from grammars.json.node import (
    FALSE,
    TRUE,
    TYPES,
    All,
    Any,
    CountItems,
    Every,
    EveryItem,
    IsType,
    JsonType,
    KeySet,
    Node,
    Nodes,
    NumberIn,
    Ref,
    Some,
    SomeItem,
    StringIn,
)
from grammars.regular.language import Languages

__all__ = ["Frozen", "FrozenArray", "FrozenObject", "Unlike", "Values", "freeze"]


@dataclass(frozen=True, slots=True)
class FrozenArray:
    """An array as a hashable value."""

    items: tuple[Frozen, ...]


@dataclass(frozen=True, slots=True)
class FrozenObject:
    """An object as a hashable value, its names sorted."""

    items: tuple[tuple[str, Frozen], ...]


Frozen: TypeAlias = "Truth | Decimal | str | FrozenArray | FrozenObject | None"


@dataclass(frozen=True, slots=True)
class Truth:
    """`true` or `false`; never equal to a number, as Python's own would be."""

    value: bool


def freeze(value: object) -> Frozen:
    """A JSON value (as `json.loads` gives it; floats by their shortest spelling) in hashable form.

    Raises:
        TypeError: the value is no JSON value.
    """
    if isinstance(value, bool):
        return Truth(value)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int | Decimal):
        return Decimal(value)
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, Mapping):
        return FrozenObject(tuple(sorted((str(name), freeze(held)) for name, held in value.items())))
    if isinstance(value, Sequence):
        return FrozenArray(tuple(freeze(item) for item in value))
    raise TypeError(f"value: {value!r} is not a JSON value")


@dataclass(frozen=True, slots=True, eq=False)
class Unlike(Ref):
    """No value equal to one of `values`; as a `Ref`, it resolves to the same spelled out in plain nodes.

    Objects and arrays are told from `values` while they are read, which the plain nodes would make a choice per value.
    """

    values: tuple[Frozen, ...]


class Values:
    """Makes nodes from values, in one table of nodes."""

    def __init__(self, languages: Languages, nodes: Nodes) -> None:
        self._languages = languages
        self._nodes = nodes
        self._unlike: dict[frozenset[Frozen], Unlike] = {}

    def equal(self, value: Frozen) -> Node:
        """Satisfied by that value alone."""
        return self._nodes.make(All, (self._is(_type_of(value)), *self._equal_inside(value)))

    def unlike(self, values: Iterable[Frozen]) -> Node:
        """Satisfied by everything but those values."""
        kept = dict.fromkeys(values)
        key = frozenset(kept)
        if not key:
            return TRUE
        found = self._unlike.get(key)
        if found is None:
            ordered = tuple(kept)
            found = Unlike(f"unlike:{len(self._unlike)}", False, lambda: self._spelled_out(ordered), ordered)
            self._unlike[key] = found
        return found

    def _is(self, *types: JsonType) -> Node:
        return self._nodes.make(IsType, frozenset(types))

    def _equal_inside(self, value: Frozen) -> tuple[Node, ...]:
        make = self._nodes.make
        match value:
            case str():
                return (make(StringIn, self._languages.literal(value)),)
            case Decimal():
                return (make(NumberIn, value, value, False, False),)
            case FrozenArray(items):
                each = (make(EveryItem, at, at, self.equal(item)) for at, item in enumerate(items))
                return (*each, make(CountItems, len(items), len(items)))
            case FrozenObject(items):
                names = tuple(name for name, _ in items)
                each_one = (make(Every, KeySet((name,)), self.equal(held)) for name, held in items)
                there = (make(Some, KeySet((name,)), TRUE) for name in names)
                return (*each_one, *there, make(Every, KeySet(names, (), True), FALSE))
        return ()

    def _spelled_out(self, values: tuple[Frozen, ...]) -> Node:
        return self._nodes.make(All, tuple(self._differs(value) for value in values))

    def _differs(self, value: Frozen) -> Node:
        others = self._is(*(name for name in TYPES if name != _type_of(value)))
        return self._nodes.make(Any, (others, *self._differs_inside(value)))

    def _differs_inside(self, value: Frozen) -> tuple[Node, ...]:
        make = self._nodes.make
        match value:
            case str():
                return (make(StringIn, self._languages.complement(self._languages.literal(value))),)
            case Decimal():
                return (make(NumberIn, None, value, False, True), make(NumberIn, value, None, True, False))
            case FrozenArray(items):
                size = len(items)
                other_size = (make(CountItems, 0, size - 1),) if size else ()
                each = (make(SomeItem, at, at, self._differs(item)) for at, item in enumerate(items))
                return (*other_size, make(CountItems, size + 1, None), *each)
            case FrozenObject(items):
                names = tuple(name for name, _ in items)
                absent = (make(Every, KeySet((name,)), FALSE) for name in names)
                each_one = (make(Some, KeySet((name,)), self._differs(held)) for name, held in items)
                return (*absent, *each_one, make(Some, KeySet(names, (), True), TRUE))
        return ()


def _type_of(value: Frozen) -> JsonType:
    match value:
        case None:
            return "null"
        case Truth(held):
            return "true" if held else "false"
        case Decimal():
            return "number"
        case str():
            return "string"
        case FrozenArray():
            return "array"
        case FrozenObject():
            return "object"
