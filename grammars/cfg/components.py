"""Strongly connected components of a graph of names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

__all__ = ["components"]


def components(edges: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """The strongly connected components (Tarjan 1972, without recursion); every target is a key of `edges`."""
    walk = _Walk(edges)
    for root in edges:
        walk.visit(root)
    return walk.found


class _Walk:
    def __init__(self, edges: Mapping[str, Sequence[str]]) -> None:
        self.found: list[list[str]] = []
        self._edges = edges
        self._order: dict[str, int] = {}
        self._lowest: dict[str, int] = {}
        self._open: list[str] = []
        self._is_open: set[str] = set()

    def visit(self, root: str) -> None:
        if root in self._order:
            return
        path = [(root, self._enter(root))]
        while path:
            name, targets = path[-1]
            for target in targets:
                if target not in self._order:
                    path.append((target, self._enter(target)))
                    break
                if target in self._is_open:
                    self._lowest[name] = min(self._lowest[name], self._order[target])
            else:
                path.pop()
                if path:
                    parent = path[-1][0]
                    self._lowest[parent] = min(self._lowest[parent], self._lowest[name])
                if self._lowest[name] == self._order[name]:
                    self._close(name)

    def _enter(self, name: str) -> Iterator[str]:
        self._order[name] = self._lowest[name] = len(self._order)
        self._open.append(name)
        self._is_open.add(name)
        return iter(self._edges[name])

    def _close(self, name: str) -> None:
        component: list[str] = []
        while not component or component[-1] != name:
            component.append(self._open.pop())
        self._is_open.difference_update(component)
        self.found.append(component)
