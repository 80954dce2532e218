"""A node of the radix tree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["ChildKey", "Node"]

ChildKey = tuple[str, tuple[int, ...]]
"""Namespace and first page of tokens: what tells siblings apart."""


@dataclass(eq=False, slots=True)
class Node:
    """A run of tokens below its parent, and the pages holding their KV.

    Attributes:
        key: the run's tokens; a multiple of the page size long.
        pages: one page for every page size of tokens.
        num_locks: sequences at or below this node that need it to stay.
        last_use: tick of the last match or insert; the eviction order.
        end: tokens from the root to the end of this node.
    """

    namespace: str
    key: tuple[int, ...]
    pages: list[int]
    parent: Node | None
    end: int
    last_use: int = 0
    num_locks: int = 0
    children: dict[ChildKey, Node] = field(default_factory=dict)

    @property
    def is_root(self) -> bool:
        """Whether this is the root, which holds no tokens."""
        return self.parent is None

    def path(self) -> Iterator[Node]:
        """This node and its ancestors, without the root."""
        node = self
        while node.parent is not None:
            yield node
            node = node.parent

    def path_pages(self) -> list[int]:
        """The pages of everything from the root to the end of this node."""
        return [page for node in reversed(list(self.path())) for page in node.pages]

    def walk(self) -> Iterator[Node]:
        """All nodes below this one."""
        stack = list(self.children.values())
        while stack:
            node = stack.pop()
            yield node
            stack.extend(node.children.values())
