"""The radix tree over everything in the KV pool: what is cached, what is in use, what goes first.

After RadixAttention (Zheng et al., "SGLang: Efficient Execution of Structured Language Model Programs", 2024), with
page-aligned nodes, namespaces, and an eviction heap that is kept lazily: entries are pushed when a node becomes an
unlocked leaf or its rank changes, and are checked when they are popped.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from runtime.errors import LedgerError
from runtime.ledger import Owner
from runtime.memory.eviction import POLICIES, Rank
from runtime.memory.node import TOKEN_BYTES, Node, common_prefix, pack
from runtime.memory.pages import PagePool

__all__ = ["Match", "PartialPage", "RadixTree"]

MOST_SIBLINGS = 16
"""How many children are looked at for one that shares part of a page: nearly all share what the first one does."""


@dataclass(frozen=True, slots=True)
class Match:
    """A prefix found in the tree: `length` tokens, the last `inside` of them within `node` without reaching its end."""

    node: Node
    inside: int
    length: int


@dataclass(frozen=True, slots=True)
class PartialPage:
    """The first `num_tokens` tokens of `page`, which is one of `node`'s, are those that follow a match."""

    node: Node
    page: int
    num_tokens: int


class RadixTree:
    """Prefixes → pages. Pages in the tree belong to `Owner.TREE`; locked nodes are never evicted.

    Args:
        pool: where evicted and duplicate pages go.
        rank: the eviction policy.

    Attributes:
        evicting: called with a node that is about to be evicted, while its pages are still the tree's.
        inserted: called with a node of pages that are new to the tree.
        evicted: called with the seconds that an eviction took, saving to other tiers included.
    """

    def __init__(self, pool: PagePool, rank: Rank = POLICIES["lru"]) -> None:
        self.pool = pool
        self.page_size = pool.page_size
        self.root = Node("", b"", (), None, 0)
        self.root.num_locks = 1
        self.num_nodes = 0
        self.num_evictable = 0
        self.num_protected = 0
        self.num_evicted = 0
        self.version = 0
        self.evicting: Callable[[Node], None] = lambda _: None
        self.inserted: Callable[[Node], None] = lambda _: None
        self.evicted: Callable[[float], None] = lambda _: None
        self._rank = rank
        self._page_bytes = self.page_size * TOKEN_BYTES
        self._clock = itertools.count(1)
        self._leaves: list[tuple[int, Node]] = []

    def match(self, tokens: Sequence[int], limit: int, namespace: str = "") -> Match:
        """The longest cached prefix of `tokens[:limit]`, page-aligned. Changes nothing."""
        limit = max(0, min(limit, len(tokens)))
        return self._find(pack(tokens[: limit - limit % self.page_size]), namespace)

    def _find(self, packed: bytes, namespace: str) -> Match:
        step, position, node = self._page_bytes, 0, self.root
        while position < len(packed):
            child = node.child(self._first(packed[position : position + step], node, namespace))
            if child is None:
                break
            own = child.packed
            if len(own) > step and packed[position : position + len(own)] != own:
                inside = common_prefix(own, packed[position : position + len(own)], step)
                return Match(child, inside // TOKEN_BYTES, (position + inside) // TOKEN_BYTES)
            node, position = child, position + len(own)
        return Match(node, 0, position // TOKEN_BYTES)

    def partial(self, match: Match, tokens: Sequence[int], limit: int, namespace: str = "") -> PartialPage | None:
        """A cached page that begins with as much as any of what follows `match` in `tokens[:limit]`.

        Of many pages that follow, only the newest are looked at. Changes nothing.
        """
        following = pack(tokens[match.length : min(limit, match.length + self.page_size)])
        if match.inside:
            pages = [(match.node, match.inside // self.page_size)]
        else:
            newest = itertools.islice(match.node.newest_children(), MOST_SIBLINGS)
            pages = [(child, 0) for child in newest if child.namespace == namespace]
        best: PartialPage | None = None
        for node, place in pages:
            cached = node.packed[place * self._page_bytes : (place + 1) * self._page_bytes]
            common = common_prefix(cached, following, TOKEN_BYTES) // TOKEN_BYTES
            if common > (0 if best is None else best.num_tokens):
                best = PartialPage(node, node.pages[place], common)
        return best

    def pages(self, match: Match) -> list[int]:
        """The pages of a match, in order."""
        return match.node.path_pages()[: match.length // self.page_size]

    def take(self, match: Match, priority: int = 0) -> Node:
        """Locks what was matched, splitting a node where the match ends inside it; returns the node it ends with."""
        node = self._split(match.node, match.inside) if match.inside else match.node
        self.lock(node)
        self._touch(node, next(self._clock), priority)
        return node

    def hit(self, node: Node) -> None:
        """Notes that a sequence took over what others have computed: everything down to `node`, which is locked."""
        for step in node.path():
            step.num_hits += 1
            step.outlook = max(0, step.outlook)

    def lock(self, node: Node) -> None:
        """Protects `node` and its ancestors from eviction, once more."""
        while node.parent is not None:
            if node.num_locks == 0:
                self.num_evictable -= node.num_tokens
                self.num_protected += node.num_tokens
            node.num_locks += 1
            node = node.parent

    def unlock(self, node: Node) -> None:
        """Takes one lock back.

        Raises:
            LedgerError: there was none.
        """
        while node.parent is not None:
            if node.num_locks == 0:
                raise LedgerError(f"unlock of an unlocked node ending at token {node.end}")
            node.num_locks -= 1
            if node.num_locks == 0:
                self.num_protected -= node.num_tokens
                self.num_evictable += node.num_tokens
                self._offer(node)
            node = node.parent

    def expect(self, node: Node) -> None:
        """Notes that a live program will come back to `node`, until `dismiss`."""
        for step in node.path():
            step.outlook = max(0, step.outlook) + 1
            self._offer(step)

    def dismiss(self, node: Node) -> None:
        """It has come back, or never will. The node may have been evicted meanwhile."""
        for step in node.path():
            step.outlook = max(0, step.outlook - 1)
            self._offer(step)

    def retire(self, node: Node) -> None:
        """Notes that the program which made `node` has ended: what nobody else took over of its path is spent."""
        for step in node.path():
            if step.num_hits or step.outlook > 0:
                return
            step.outlook = -1
            self._offer(step)

    def ancestor(self, node: Node, length: int) -> Node:
        """The node on `node`'s path that ends at exactly `length` tokens, splitting one where it must."""
        end = node.end
        while node.parent is not None and end - node.num_tokens >= length:
            end -= node.num_tokens
            node = node.parent
        return node if end == length else self._split(node, length - (end - node.num_tokens))

    def insert(
        self, tokens: Sequence[int], pages: Sequence[int], owner: Owner, namespace: str = "", priority: int = 0
    ) -> Node:
        """Books `pages` (KV of `tokens`, both whole pages) into the tree; returns the node that ends with them.

            tokens   |<-- in the tree already -->|<------- new ------->|
            pages    |  `owner`'s: freed here,   |  `owner` → TREE,    |
                     |  the tree's: left alone   |  become a new leaf  |

        Where the tree already holds a token run, its own pages stay and the caller's duplicates are freed.
        """
        packed = pack(tokens)
        match = self._find(packed, namespace)
        node = self._split(match.node, match.inside) if match.inside else match.node
        num_old = match.length // self.page_size
        duplicates = [mine for mine, its in zip(pages, self.pages(match), strict=False) if mine != its]
        self.pool.release(duplicates, owner)
        now = next(self._clock)
        if match.length < len(tokens):
            own = tuple(pages[num_old:])
            self.pool.ledger.move(own, owner, Owner.TREE)
            leaf = Node(namespace, packed[match.length * TOKEN_BYTES :], own, node, now)
            node.adopt(self._first(leaf.packed, node, namespace), leaf)
            self.num_nodes += 1
            self.num_evictable += leaf.num_tokens
            self.version += 1
            node = leaf
        self._touch(node, now, priority)
        self._offer(node)
        if match.length < len(tokens):
            self.inserted(node)
        return node

    def evict(self, num_pages: int) -> int:
        """Frees at least `num_pages` pages, leaves of the lowest rank first; returns how many were freed."""
        freed, begun = 0, time.perf_counter()
        while freed < num_pages and self._leaves:
            rank, node = heapq.heappop(self._leaves)
            if not self._is_evictable(node) or self._rank(node) != rank:
                continue
            freed += len(node.pages)
            self.evicting(node)
            self._remove(node)
        if freed:
            self.num_evicted += freed * self.page_size
            self.version += 1
            self.evicted(time.perf_counter() - begun)
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
        parent.disown(self._first(node.packed, parent, node.namespace))
        self.num_nodes -= 1
        self.num_evictable -= node.num_tokens
        self.pool.release(node.pages, Owner.TREE)
        node.pages = ()  # marks it as gone for stale heap entries; whoever expects to come back still finds its parent
        self._offer(parent)

    @staticmethod
    def _is_evictable(node: Node) -> bool:
        return node.num_locks == 0 and node.is_leaf and bool(node.pages)

    def _offer(self, node: Node) -> None:
        if not self._is_evictable(node):
            return
        heapq.heappush(self._leaves, (self._rank(node), node))
        if len(self._leaves) > 64 + 2 * self.num_nodes:
            live = {id(n): n for rank, n in self._leaves if self._is_evictable(n) and self._rank(n) == rank}
            self._leaves = [(self._rank(n), n) for n in live.values()]
            heapq.heapify(self._leaves)

    def _touch(self, node: Node, now: int, priority: int) -> None:
        while node.parent is not None:
            node.last_use = now
            node.priority = max(node.priority, priority)
            node = node.parent

    def _split(self, node: Node, length: int) -> Node:
        """Cuts `node` after `length` of its tokens; the upper part is new, so locks held on `node` stay below it."""
        parent = node.parent or self.root
        cut = length * TOKEN_BYTES
        num_pages = length // self.page_size
        upper = Node(node.namespace, node.packed[:cut], node.pages[:num_pages], parent, node.created)
        upper.last_use, upper.num_locks, upper.num_hits = node.last_use, node.num_locks, node.num_hits
        upper.priority, upper.outlook = node.priority, node.outlook
        parent.adopt(self._first(upper.packed, parent, node.namespace), upper)
        node.packed, node.pages, node.parent = node.packed[cut:], node.pages[num_pages:], upper
        upper.adopt(self._first(node.packed, upper, node.namespace), node)
        self.num_nodes += 1
        return upper

    def _first(self, packed: bytes, parent: Node, namespace: str) -> bytes:
        """What tells siblings apart: their first page, and right below the root their namespace too."""
        first = packed[: self._page_bytes]
        return namespace.encode() + first if namespace and parent.parent is None else first

    def check(self) -> None:
        """Recounts the tree against its own sums and its invariants.

        Raises:
            LedgerError: naming the first thing that is off.
        """
        counted = evictable = protected = 0
        offered = {id(node) for rank, node in self._leaves if self._rank(node) == rank}
        for node in self.root.walk():
            self._check_node(node)
            counted += 1
            if node.num_locks:
                protected += node.num_tokens
            else:
                evictable += node.num_tokens
            if self._is_evictable(node) and id(node) not in offered:
                raise LedgerError(f"tree: the leaf ending at {node.end} would never be evicted")
        if (counted, evictable, protected) != (self.num_nodes, self.num_evictable, self.num_protected):
            booked = (self.num_nodes, self.num_evictable, self.num_protected)
            found = (counted, evictable, protected)
            raise LedgerError(f"tree: (nodes, evictable, protected) are {found}, booked {booked}")
        if evictable + protected != self.pool.ledger.slots(Owner.TREE):
            raise LedgerError(f"tree: {evictable + protected} tokens, ledger {self.pool.ledger.table()}")

    def _check_node(self, node: Node) -> None:
        parent, length = node.parent, node.num_tokens
        if parent is None or parent.child(self._first(node.packed, parent, node.namespace)) is not node:
            raise LedgerError(f"tree: node ending at {node.end} is not its parent's child")
        if not length or length % self.page_size or length != len(node.pages) * self.page_size:
            raise LedgerError(f"tree: {length} tokens on {len(node.pages)} pages of {self.page_size}")
        if parent.parent is not None and parent.namespace != node.namespace:
            raise LedgerError(f"tree: node ending at {node.end} is below another namespace")
        if node.num_locks < sum(child.num_locks for child in node.children):
            raise LedgerError(f"tree: children of the node ending at {node.end} hold more locks than it does")

    def all_pages(self) -> list[int]:
        """Every page in the tree, for `Ledger.check`."""
        return [page for node in self.root.walk() for page in node.pages]
