"""Connectives: nodes put together and kept small."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from grammars.errors import GrammarLimit
from grammars.json.node import (
    FALSE,
    TRUE,
    TYPES,
    All,
    Any,
    Every,
    EveryItem,
    IsType,
    JsonType,
    KeySet,
    Node,
    Nodes,
    Some,
    SomeItem,
)
from grammars.regular.language import Language, Languages

__all__ = ["EVERYTHING", "Logic"]

EVERYTHING: frozenset[JsonType] = frozenset(TYPES)
"""All kinds of values."""


@dataclass(slots=True)
class Logic:
    """Makes nodes of one table, in their simplest form where that is cheap to see.

    Every method that takes `negated` makes the dual then: what it is given must be negated already.

    Args:
        nodes: the table.
        languages: the arena of the languages in the nodes.
        budget: how many items all the nodes made here may have together; `GrammarLimit` beyond.
    """

    nodes: Nodes
    languages: Languages
    budget: int
    texts: dict[Language, frozenset[str]] = field(default_factory=dict)
    """The finite languages made from constants, as sets of texts."""

    def spend(self, amount: int) -> None:
        """Takes an amount of work off the budget.

        Raises:
            GrammarLimit: nothing is left.
        """
        self.budget -= amount
        if self.budget < 0:
            raise GrammarLimit("json_schema: the schema needs too many constraints")

    def all_of(self, items: Iterable[Node]) -> Node:
        """Every item holds: nested ones flattened, each kept once, in order."""
        flat: dict[Node, None] = {}
        for item in items:
            if isinstance(item, All):
                flat.update(dict.fromkeys(item.items))
            else:
                flat[item] = None
        if FALSE in flat:
            return FALSE
        return self._joined(All, flat, TRUE)

    def any_of(self, items: Iterable[Node]) -> Node:
        """At least one item holds: nested ones flattened, each kept once, in order."""
        flat: dict[Node, None] = {}
        for item in items:
            if isinstance(item, Any):
                flat.update(dict.fromkeys(item.items))
            else:
                flat[item] = None
        if TRUE in flat:
            return TRUE
        return self._joined(Any, flat, FALSE)

    def _joined(self, kind: type[All] | type[Any], flat: dict[Node, None], none: Node) -> Node:
        if len(flat) < 2:
            return next(iter(flat), none)
        self.spend(len(flat))
        return self.nodes.make(kind, tuple(flat))

    def join(self, items: Iterable[Node], negated: bool) -> Node:
        """`all_of`, or its dual."""
        return self.any_of(items) if negated else self.all_of(items)

    def meet(self, items: Iterable[Node], negated: bool) -> Node:
        """`any_of`, or its dual."""
        return self.all_of(items) if negated else self.any_of(items)

    def is_type(self, kinds: Iterable[JsonType]) -> Node:
        """The value is of one of these kinds."""
        wanted = frozenset(kinds)
        if len(wanted) == len(TYPES):
            return TRUE
        return self.nodes.make(IsType, wanted) if wanted else FALSE

    def is_not_type(self, *kinds: JsonType) -> Node:
        """The value is of none of these kinds."""
        return self.is_type(EVERYTHING.difference(kinds))

    def every(self, keys: KeySet, node: Node, negated: bool = False) -> Node:
        """Every property named so satisfies `node`; when negated, there is one that does."""
        if negated:
            return FALSE if node is FALSE else self.nodes.make(Some, keys, node)
        # Names that may hold anything stay: what the schema declares, and in which order, is worth knowing.
        return TRUE if node is TRUE and not keys.names else self.nodes.make(Every, keys, node)

    def every_item(self, first: int, last: int | None, node: Node, negated: bool = False) -> Node:
        """Every item in that range satisfies `node`; when negated, there is one that does."""
        if negated:
            return FALSE if node is FALSE else self.nodes.make(SomeItem, first, last, node)
        return TRUE if node is TRUE else self.nodes.make(EveryItem, first, last, node)

    def has(self, name: str, negated: bool = False) -> Node:
        """The value is an object with that property; when negated, an object without it or no object."""
        keys = KeySet((name,))
        return self.nodes.make(Every, keys, FALSE) if negated else self.nodes.make(Some, keys, TRUE)
