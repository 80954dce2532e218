"""The radix tree over everything in the KV pool: what is cached, what is in use, what goes first.

After RadixAttention (Zheng et al., "SGLang: Efficient Execution of Structured Language Model Programs", 2024), with
page-aligned nodes, namespaces, and an eviction heap that is kept lazily: entries are pushed when a node becomes an
unlocked leaf and are checked when they are popped.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from runtime.errors import LedgerError
from runtime.ledger import Owner
from runtime.memory.node import ChildKey, Node
from runtime.memory.pages import PagePool

__all__ = ["Match", "RadixTree"]


@dataclass(frozen=True, slots=True)
class Match:
    """A prefix found in the tree: `length` tokens, the last `inside` of them within `node` without reaching its end."""

    node: Node
    inside: int
    length: int


class RadixTree:
    """Prefixes → pages. Pages in the tree belong to `Owner.TREE`; locked nodes are never evicted.

    Args:
        pool: where evicted and duplicate pages go.
    """

    def __init__(self, pool: PagePool) -> None:
        self.pool = pool
        self.page_size = pool.page_size
        self.root = Node("", (), [], None, 0, num_locks=1)
        self.num_evictable = 0
        self.num_protected = 0
        self.num_evicted = 0
        self.version = 0
        self._clock = itertools.count(1)
        self._pushes = itertools.count()
        self._leaves: list[tuple[int, int, Node]] = []

    def match(self, tokens: Sequence[int], limit: int, namespace: str = "") -> Match:
        """The longest cached prefix of `tokens[:limit]`, page-aligned. Changes nothing."""
        limit -= limit % self.page_size
        node, position = self.root, 0
        while position < limit:
            child = node.children.get(self._child_key(tokens, position, namespace))
            if child is None:
                break
            common = self._common(child.key, tokens, position, limit)
            if common < len(child.key):
                return Match(child, common, position + common)
            node, position = child, position + common
        return Match(node, 0, position)

    def pages(self, match: Match) -> list[int]:
        """The pages of a match, in order."""
        return match.node.path_pages()[: match.length // self.page_size]

    def take(self, match: Match) -> Node:
        """Locks what was matched, splitting a node where the match ends inside it; returns the node it ends with."""
        node = self._split(match.node, match.inside) if match.inside else match.node
        self._touch(node)
        self.lock(node)
        return node

    def lock(self, node: Node) -> None:
        """Protects `node` and its ancestors from eviction, once more."""
        for step in node.path():
            if step.num_locks == 0:
                self.num_evictable -= len(step.key)
                self.num_protected += len(step.key)
            step.num_locks += 1

    def unlock(self, node: Node) -> None:
        """Takes one lock back.

        Raises:
            LedgerError: there was none.
        """
        for step in node.path():
            if step.num_locks == 0:
                raise LedgerError(f"unlock of an unlocked node ending at token {step.end}")
            step.num_locks -= 1
            if step.num_locks == 0:
                self.num_protected -= len(step.key)
                self.num_evictable += len(step.key)
                self._offer(step)

    def ancestor(self, node: Node, length: int) -> Node:
        """The node on `node`'s path that ends at exactly `length` tokens, splitting one where it must."""
        while node.parent is not None and node.parent.end >= length:
            node = node.parent
        if node.end == length:
            return node
        return self._split(node, length - (node.end - len(node.key)))

    def insert(self, tokens: Sequence[int], pages: Sequence[int], owner: Owner, namespace: str = "") -> Node:
        """Books `pages` (KV of `tokens`, both whole pages) into the tree; returns the node that ends with them.

            tokens   |<-- in the tree already -->|<------- new ------->|
            pages    |  `owner`'s: freed here,   |  `owner` → TREE,    |
                     |  the tree's: left alone   |  become a new leaf  |

        Where the tree already holds a token run, its own pages stay and the caller's duplicates are freed.
        """
        match = self.match(tokens, len(tokens), namespace)
        node = self._split(match.node, match.inside) if match.inside else match.node
        num_old = match.length // self.page_size
        duplicates = [mine for mine, its in zip(pages, self.pages(match), strict=False) if mine != its]
        self.pool.release(duplicates, owner)
        if match.length < len(tokens):
            self.pool.ledger.move(pages[num_old:], owner, Owner.TREE)
            leaf = Node(namespace, tuple(tokens[match.length :]), list(pages[num_old:]), node, len(tokens))
            node.children[self._child_key(tokens, match.length, namespace)] = leaf
            self.num_evictable += len(leaf.key)
            self.version += 1
            node = leaf
        self._touch(node)
        self._offer(node)
        return node

    def evict(self, num_pages: int) -> int:
        """Frees at least `num_pages` pages, least recently used leaves first; returns how many were freed."""
        freed = 0
        while freed < num_pages and self._leaves:
            last_use, _, node = heapq.heappop(self._leaves)
            if not self._is_evictable(node) or node.last_use != last_use:
                continue
            freed += len(node.pages)
            self._remove(node)
        if freed:
            self.num_evicted += freed * self.page_size
            self.version += 1
        return freed

    def clear(self) -> int:
        """Evicts everything unlocked; returns the tokens dropped."""
        before = self.num_evictable
        self.evict(self.pool.num_pages)
        return before - self.num_evictable

    def _remove(self, node: Node) -> None:
        parent = node.parent
        if parent is None:
            raise LedgerError("the root cannot be evicted")
        del parent.children[self._child_key(node.key, 0, node.namespace)]
        self.num_evictable -= len(node.key)
        self.pool.release(node.pages, Owner.TREE)
        node.parent = None  # marks the node as gone for stale heap entries
        self._offer(parent)

    def _is_evictable(self, node: Node) -> bool:
        return node.parent is not None and node.num_locks == 0 and not node.children

    def _offer(self, node: Node) -> None:
        if not self._is_evictable(node):
            return
        heapq.heappush(self._leaves, (node.last_use, next(self._pushes), node))
        if len(self._leaves) > 64 and len(self._leaves) > 4 * self.pool.num_pages:
            live = {id(n): n for use, _, n in self._leaves if self._is_evictable(n) and n.last_use == use}
            self._leaves = [(n.last_use, next(self._pushes), n) for n in live.values()]
            heapq.heapify(self._leaves)

    def _touch(self, node: Node) -> None:
        now = next(self._clock)
        for step in node.path():
            step.last_use = now
        self._offer(node)

    def _split(self, node: Node, length: int) -> Node:
        """Cuts `node` after `length` of its tokens; the upper part is new, so locks held on `node` stay below it."""
        parent = node.parent or self.root
        upper = Node(
            node.namespace,
            node.key[:length],
            node.pages[: length // self.page_size],
            parent,
            node.end - len(node.key) + length,
            last_use=node.last_use,
            num_locks=node.num_locks,
        )
        parent.children[self._child_key(upper.key, 0, node.namespace)] = upper
        node.key, node.pages, node.parent = node.key[length:], node.pages[length // self.page_size :], upper
        upper.children[self._child_key(node.key, 0, node.namespace)] = node
        return upper

    def _child_key(self, tokens: Sequence[int], position: int, namespace: str) -> ChildKey:
        return namespace, tuple(tokens[position : position + self.page_size])

    def _common(self, key: tuple[int, ...], tokens: Sequence[int], position: int, limit: int) -> int:
        """Tokens of `key` that `tokens[position:limit]` begins with, in whole pages."""
        length = min(len(key), limit - position)
        other = tuple(tokens[position : position + length])
        if key[:length] == other:
            return length
        first = next(i for i, (a, b) in enumerate(zip(key, other, strict=False)) if a != b)
        return first - first % self.page_size

    def check(self) -> None:
        """Recounts the tree against its own sums and its invariants.

        Raises:
            LedgerError: naming the first thing that is off.
        """
        evictable = protected = 0
        for node in self.root.walk():
            self._check_node(node)
            if node.num_locks:
                protected += len(node.key)
            else:
                evictable += len(node.key)
        if (evictable, protected) != (self.num_evictable, self.num_protected):
            booked = (self.num_evictable, self.num_protected)
            raise LedgerError(f"tree: (evictable, protected) are {(evictable, protected)}, booked {booked}")
        if evictable + protected != self.pool.ledger.slots(Owner.TREE):
            raise LedgerError(f"tree: {evictable + protected} tokens, ledger {self.pool.ledger.table()}")

    def _check_node(self, node: Node) -> None:
        parent = node.parent
        if parent is None or parent.children.get(self._child_key(node.key, 0, node.namespace)) is not node:
            raise LedgerError(f"tree: node ending at {node.end} is not its parent's child")
        if not node.key or len(node.key) % self.page_size or len(node.key) != len(node.pages) * self.page_size:
            raise LedgerError(f"tree: {len(node.key)} tokens on {len(node.pages)} pages of {self.page_size}")
        if node.end != parent.end + len(node.key):
            raise LedgerError(f"tree: node ends at {node.end}, parent at {parent.end}, key {len(node.key)}")
        if node.num_locks < sum(child.num_locks for child in node.children.values()):
            raise LedgerError(f"tree: children of the node ending at {node.end} hold more locks than it does")

    def all_pages(self) -> list[int]:
        """Every page in the tree, for `Ledger.check`."""
        return [page for node in self.root.walk() for page in node.pages]
