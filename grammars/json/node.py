"""The constraint graph: JSON Schema in negation normal form.

Every node is immutable and made by `Nodes`, so equal nodes are the same object. A keyword that is about one type holds
vacuously for the other types (`StringIn`, `NumberIn`, `MultipleOf`, `WrittenWhole`, `Every`, `CountProperties`,
`EveryItem`, `CountItems`, `CountMatching`, `Distinct`); the duals `Some` and `SomeItem` hold only for objects and
arrays. There is no negation node: negating happens while the graph is built, so `Every` turns into `Some`, `All` into
`Any`, and so on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar, cast

if TYPE_CHECKING:
    from grammars.regular.language import Language

__all__ = [
    "FALSE",
    "TRUE",
    "TYPES",
    "All",
    "Any",
    "CountItems",
    "CountMatching",
    "CountProperties",
    "Distinct",
    "Every",
    "EveryItem",
    "IsType",
    "JsonType",
    "KeySet",
    "MultipleOf",
    "Node",
    "Nodes",
    "NumberIn",
    "Ref",
    "Some",
    "SomeItem",
    "StringIn",
    "StringLength",
    "WrittenWhole",
]

JsonType: TypeAlias = Literal["null", "false", "true", "number", "string", "array", "object"]
TYPES: tuple[JsonType, ...] = ("null", "false", "true", "number", "string", "array", "object")
"""The kinds of values a constraint tells apart: `false` and `true` are kinds of their own; integers are numbers."""


@dataclass(frozen=True, slots=True, eq=False)
class All:
    """Every item holds. `All(())` is what any value satisfies. Items keep the order the schema has them in."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Any:
    """At least one item holds. `Any(())` is what no value satisfies."""

    items: tuple[Node, ...]


TRUE = All(())
FALSE = Any(())


@dataclass(frozen=True, slots=True, eq=False)
class IsType:
    """The value is of one of these kinds."""

    types: frozenset[JsonType]


@dataclass(frozen=True, slots=True, eq=False)
class StringIn:
    """A string is one of a language (its content as characters, before JSON's escapes)."""

    language: Language


@dataclass(frozen=True, slots=True, eq=False)
class StringLength:
    """A string has `low` to `high` code points; without end when `high` is None."""

    low: int
    high: int | None


@dataclass(frozen=True, slots=True, eq=False)
class NumberIn:
    """A number lies between two bounds; None for no bound."""

    low: Decimal | None
    high: Decimal | None
    low_open: bool = False
    high_open: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class MultipleOf:
    """A number is a whole multiple of `step` (> 0); is not, when `negated`. Integers are multiples of 1."""

    step: Decimal
    negated: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class WrittenWhole:
    """A number is written without fraction and exponent, as integers are up to draft 4; with one, when `negated`."""

    negated: bool = False


@dataclass(frozen=True, slots=True)
class KeySet:
    """Property names: those in `names` or matching a pattern; all others, when `negated`.

    `names` keeps the order the schema declares them in.
    """

    names: tuple[str, ...] = ()
    patterns: tuple[Language, ...] = ()
    negated: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Every:
    """Every property of an object whose name is in `keys` satisfies `node`."""

    keys: KeySet
    node: Node


@dataclass(frozen=True, slots=True, eq=False)
class Some:
    """The value is an object, and some property whose name is in `keys` satisfies `node`."""

    keys: KeySet
    node: Node


@dataclass(frozen=True, slots=True, eq=False)
class CountProperties:
    """An object has `low` to `high` properties; without end when `high` is None."""

    low: int
    high: int | None


@dataclass(frozen=True, slots=True, eq=False)
class EveryItem:
    """Every item of an array whose index is in `first` .. `last` satisfies `node`; to the end when `last` is None."""

    first: int
    last: int | None
    node: Node


@dataclass(frozen=True, slots=True, eq=False)
class SomeItem:
    """The value is an array, and some item whose index is in `first` .. `last` satisfies `node`."""

    first: int
    last: int | None
    node: Node


@dataclass(frozen=True, slots=True, eq=False)
class CountItems:
    """An array has `low` to `high` items; without end when `high` is None."""

    low: int
    high: int | None


@dataclass(frozen=True, slots=True, eq=False)
class CountMatching:
    """`low` to `high` items of an array satisfy `node`; without end when `high` is None.

    `opposite` is the negation of `node`, which no node can make by itself.
    """

    node: Node
    opposite: Node
    low: int
    high: int | None


@dataclass(frozen=True, slots=True, eq=False)
class Distinct:
    """No two items of an array are equal; some two are, when `negated`."""

    negated: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Ref:
    """A subschema by its place in the document, or its negation; what makes recursive schemas finite.

    One object for each place and sign (see `Nodes.ref`); `resolve` gives the node behind it, the same one each time.
    """

    place: str
    negated: bool
    resolve: Callable[[], Node] = field(repr=False)


Node: TypeAlias = (
    All
    | Any
    | IsType
    | StringIn
    | StringLength
    | NumberIn
    | MultipleOf
    | WrittenWhole
    | Every
    | Some
    | CountProperties
    | EveryItem
    | SomeItem
    | CountItems
    | CountMatching
    | Distinct
    | Ref
)

_Kind = TypeVar("_Kind")


class Nodes:
    """Makes nodes, each of them once: two nodes of one table are equal only if they are the same object."""

    def __init__(self) -> None:
        self._kept: dict[tuple[object, ...], object] = {(All, ()): TRUE, (Any, ()): FALSE}

    def make(self, kind: type[_Kind], *fields: object) -> _Kind:
        """The node of that kind with those fields (all of them, in order; children made by this table)."""
        key = (kind, *fields)
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = kind(*fields)
        return cast(_Kind, found)

    def ref(self, place: str, negated: bool, resolve: Callable[[], Node]) -> Ref:
        """The reference to a place; `resolve` of the first call is kept."""
        found = self._kept.get((Ref, place, negated))
        if found is None:
            found = self._kept[(Ref, place, negated)] = Ref(place, negated, resolve)
        return cast(Ref, found)
