"""Connectives over nodes that are met in any order: the same items give the same node."""

from __future__ import annotations

from collections.abc import Iterable

from grammars.json.node import FALSE, TRUE, All, Any, Node, Nodes

__all__ = ["Merge"]


class Merge:
    """Joins nodes of one table, flat, each item once. The first order a set of items came in is kept for all."""

    def __init__(self, nodes: Nodes) -> None:
        self.nodes = nodes
        self._all: dict[frozenset[Node], Node] = {frozenset(): TRUE}
        self._any: dict[frozenset[Node], Node] = {frozenset(): FALSE}

    def all_of(self, items: Iterable[Node]) -> Node:
        """Every item holds."""
        flat: dict[Node, None] = {}
        for item in items:
            if isinstance(item, All):
                flat.update(dict.fromkeys(item.items))
            else:
                flat[item] = None
        if len(flat) == 1:
            return next(iter(flat))
        if FALSE in flat:
            return FALSE
        key = frozenset(flat)
        found = self._all.get(key)
        if found is None:
            found = self._all[key] = self.nodes.make(All, tuple(flat))
        return found

    def any_of(self, items: Iterable[Node]) -> Node:
        """At least one item holds."""
        flat: dict[Node, None] = {}
        for item in items:
            if isinstance(item, Any):
                flat.update(dict.fromkeys(item.items))
            else:
                flat[item] = None
        if len(flat) == 1:
            return next(iter(flat))
        if TRUE in flat:
            return TRUE
        key = frozenset(flat)
        found = self._any.get(key)
        if found is None:
            found = self._any[key] = self.nodes.make(Any, tuple(flat))
        return found
