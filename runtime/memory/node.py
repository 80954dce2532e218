"""A node of the radix tree."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator
from typing import Final

__all__ = ["TOKEN_BYTES", "Node", "common_prefix", "pack"]

TOKEN_BYTES: Final = array("i").itemsize


def pack(tokens: Iterable[int]) -> bytes:
    """Tokens as bytes, of which any run can be compared and hashed at once."""
    return array("i", tokens).tobytes()


def common_prefix(one: bytes, other: bytes, step: int) -> int:
    """Bytes that both begin with, in whole multiples of `step`."""
    if one == other:
        return len(one)
    low, high = 0, min(len(one), len(other)) // step
    while low < high:
        middle = (low + high + 1) // 2
        if one[low * step : middle * step] == other[low * step : middle * step]:
            low = middle
        else:
            high = middle - 1
    return low * step


class Node:
    """A run of tokens below its parent, and the pages holding their KV.

    There may be millions: the tokens are packed, and what most nodes do not have costs nothing.

    Attributes:
        namespace: tenant.
        packed: the run's tokens (see `pack`); a multiple of the page size many.
        pages: one page for every page size of tokens; none in the root, and in a node that was evicted.
        num_locks: sequences and pins at or below this node that need it to stay.
        created, last_use: ticks of its insertion, and of the last match or insert that used it.
        num_hits: how often another sequence took it over.
        priority: the highest of the requests that used it.
        outlook: how many live programs gave it up that will come back to it; -1 where the last one has ended.
    """

    __slots__ = (
        "_children",
        "created",
        "last_use",
        "namespace",
        "num_hits",
        "num_locks",
        "outlook",
        "packed",
        "pages",
        "parent",
        "priority",
    )

    def __init__(
        self, namespace: str, packed: bytes, pages: tuple[int, ...], parent: Node | None, created: int
    ) -> None:
        self.namespace = namespace
        self.packed = packed
        self.pages = pages
        self.parent = parent
        self.created = self.last_use = created
        self.num_locks = self.num_hits = self.priority = self.outlook = 0
        self._children: dict[bytes, Node] | None = None

    def __lt__(self, other: Node) -> bool:
        """Any order will do between nodes of the same rank."""
        return self.created < other.created

    @property
    def end(self) -> int:
        """Tokens from the root to the end of this node."""
        return sum(step.num_tokens for step in self.path())

    @property
    def num_tokens(self) -> int:
        """Length of the run."""
        return len(self.packed) // TOKEN_BYTES

    @property
    def key(self) -> tuple[int, ...]:
        """The run's tokens."""
        return tuple(array("i", self.packed))

    @property
    def is_leaf(self) -> bool:
        """Whether nothing is below it."""
        return self._children is None

    @property
    def children(self) -> Collection[Node]:
        """The nodes right below, the newest last."""
        return () if self._children is None else self._children.values()

    def newest_children(self) -> Iterator[Node]:
        """The nodes right below, the newest first."""
        return iter(()) if self._children is None else reversed(self._children.values())

    def child(self, first: bytes) -> Node | None:
        """The child that begins with that page."""
        return None if self._children is None else self._children.get(first)

    def adopt(self, first: bytes, child: Node) -> None:
        """Puts a child, that begins with the page `first`, in the place there is for such a one."""
        if self._children is None:
            self._children = {}
        self._children[first] = child

    def disown(self, first: bytes) -> None:
        """Takes the child out that begins with that page."""
        if self._children is not None:
            del self._children[first]
            if not self._children:
                self._children = None

    def path(self) -> Iterator[Node]:
        """This node and its ancestors, without the root."""
        node = self
        while node.parent is not None:
            yield node
            node = node.parent

    def path_pages(self) -> list[int]:
        """The pages of everything from the root to the end of this node."""
        return [page for node in reversed(list(self.path())) for page in node.pages]

    def path_packed(self) -> bytes:
        """The tokens of everything from the root to the end of this node (see `pack`)."""
        return b"".join(step.packed for step in reversed(list(self.path())))

    def walk(self) -> Iterator[Node]:
        """All nodes below this one."""
        stack = list(self.children)
        while stack:
            node = stack.pop()
            yield node
            stack.extend(node.children)
