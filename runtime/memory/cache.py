"""PrefixCache: sequences, the tree and the pool moved together, so that no caller can move one without the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from runtime.ledger import Owner
from runtime.memory.eviction import POLICIES
from runtime.memory.pages import PagePool
from runtime.memory.radix import PartialPage, RadixTree
from runtime.memory.sequence import SequenceKV

__all__ = ["PrefixCache"]


class PrefixCache:
    """All changes of page ownership in the runtime happen here.

    Args:
        num_pages: usable pages.
        page_size: slots a page.
        eviction: name of the policy in `runtime.memory.eviction`.
        copy_slots: copies KV from slot to slot, for every (source, target), before it returns; without it, matches
            end with a page.
    """

    def __init__(
        self,
        num_pages: int,
        page_size: int,
        eviction: str = "lru",
        copy_slots: Callable[[Sequence[tuple[int, int]]], None] | None = None,
    ) -> None:
        self.page_size = page_size
        self.pool = PagePool(num_pages, page_size)
        self.tree = RadixTree(self.pool, POLICIES[eviction])
        self._copy_slots = copy_slots

    @property
    def num_available(self) -> int:
        """Slots that are free or can be made free by evicting."""
        return self.pool.num_free * self.page_size + self.tree.num_evictable

    def open(self, namespace: str = "") -> SequenceKV:
        """A sequence without any KV."""
        return SequenceKV(namespace, self.tree.root)

    def match(self, sequence: SequenceKV, tokens: Sequence[int]) -> int:
        """How many leading tokens would need no computing if the sequence were to run `tokens` now.

        What `attach` may find within one more page is not counted.
        """
        held = min(sequence.kv_len, len(tokens) - 1)
        return max(held, self.tree.match(sequence.keyed(tokens), len(tokens) - 1, sequence.namespace).length)

    def attach(self, sequence: SequenceKV, tokens: Sequence[int]) -> None:
        """Gives the sequence the longest cached prefix of `tokens`, if that is more than it holds.

        The match is locked before anything else is decided: locking takes it out of what counts as available. Where
        it ends inside a page, that part of the page is copied into a page of the sequence's own.
        """
        returns = self._dismiss(sequence)
        limit, keys = len(tokens) - 1, sequence.keyed(tokens)
        match = self.tree.match(keys, limit, sequence.namespace)
        if match.length < sequence.kv_len:
            return
        part = None
        if self._copy_slots is not None and match.length < limit:
            part = self.tree.partial(match, keys, limit, sequence.namespace)
        if part is not None:
            self.tree.lock(part.node)
        if match.length > sequence.kv_len:
            node = self.tree.take(match, sequence.priority)
            if not returns:
                self.tree.hit(node)
            self.detach(sequence)
            sequence.node = node
            sequence.pages = node.path_pages()
            sequence.num_shared = len(sequence.pages)
            sequence.kv_len = match.length
        if part is not None:
            self._copy(sequence, part)
            self.tree.unlock(part.node)

    def _copy(self, sequence: SequenceKV, part: PartialPage) -> None:
        """Takes part of a page behind the sequence's own, which are full, if there is room for it."""
        end = sequence.kv_len + part.num_tokens
        if self._copy_slots is None or not self.reserve(sequence, end):
            return
        source = part.page * self.page_size
        targets = sequence.slots(sequence.kv_len, end, self.page_size)
        self._copy_slots([(source + place, target) for place, target in enumerate(targets)])
        sequence.kv_len = end

    def bring_in(
        self,
        tokens: Sequence[int],
        namespace: str,
        first: int,
        num_pages: int,
        fill: Callable[[int, int], None],
    ) -> int:
        """Puts pages into the tree, unlocked, whose KV comes from outside the pool, evicting where it must.

            pages    0 ....... first | ............. first + num_pages
            before   in the tree     | free
            while    locked          | IN_TRANSFER, being filled
            after    in the tree     | TREE

        Args:
            tokens: as the tree knows them, of all these pages at least.
            first: index of the first page to bring in.
            fill: writes the KV of one of them, counted from 0, into a page.

        Returns:
            How many pages were brought in: those that are not cached, from the first on, as far as there was room. Zero
            where what stands before them is not cached any more.
        """
        match = self.tree.match(tokens, len(tokens), namespace)
        had = match.length // self.page_size
        count = first + num_pages - had
        if had < first or count <= 0:
            return 0
        node = self.tree.take(match)
        try:
            count = min(count, self.num_available // self.page_size)
            if count > self.pool.num_free:
                self.tree.evict(count - self.pool.num_free)
            pages = self.pool.allocate(count, Owner.IN_TRANSFER)
            try:
                for place, page in enumerate(pages):
                    fill(had - first + place, page)
            except BaseException:
                self.pool.release(pages, Owner.IN_TRANSFER)
                raise
            end = (had + count) * self.page_size
            if count:
                self.tree.insert(tokens[:end], [*node.path_pages(), *pages], Owner.IN_TRANSFER, namespace)
        finally:
            self.tree.unlock(node)
        return count

    def detach(self, sequence: SequenceKV) -> None:
        """Drops the sequence's KV without caching it: the lock is taken back, private pages are freed."""
        self.pool.release(sequence.private_pages, sequence.holder)
        self.tree.unlock(sequence.node)
        sequence.node = self.tree.root
        sequence.pages = []
        sequence.num_shared = sequence.kv_len = 0

    def hand_over(self, sequence: SequenceKV, holder: Owner) -> None:
        """Books the private pages from the present holder to `holder`."""
        if holder != sequence.holder:
            self.pool.ledger.move(sequence.private_pages, sequence.holder, holder)
            sequence.holder = holder

    def pages_missing(self, sequence: SequenceKV, num_tokens: int) -> int:
        """Pages to allocate before the sequence can hold `num_tokens` tokens."""
        return max(0, -(-num_tokens // self.page_size) - len(sequence.pages))

    def reserve(self, sequence: SequenceKV, num_tokens: int) -> bool:
        """Makes room for `num_tokens` tokens in all, evicting where it must; False, and no change, if it cannot."""
        missing = self.pages_missing(sequence, num_tokens)
        if missing == 0:
            return True
        short = missing - self.pool.num_free
        if short > 0:
            if short * self.page_size > self.tree.num_evictable:
                return False
            self.tree.evict(short)
        sequence.pages.extend(self.pool.allocate(missing, sequence.holder))
        return True

    def commit(self, sequence: SequenceKV, tokens: Sequence[int]) -> None:
        """Books the sequence's full pages into the tree, where other sequences can find them, and locks them there.

        pages     0 ....... num_shared | ........ full | tail
        before    TREE, locked         | holder        | holder
        after     TREE, locked                         | holder
        """
        full = sequence.kv_len // self.page_size
        if full <= sequence.num_shared:
            return
        end = full * self.page_size
        node = self.tree.insert(
            sequence.keyed(tokens[:end]),
            sequence.pages[:full],
            sequence.holder,
            sequence.namespace,
            sequence.priority,
        )
        self.tree.lock(node)
        self.tree.unlock(sequence.node)
        sequence.node = node
        sequence.pages[:full] = node.path_pages()
        sequence.num_shared = full

    def release(self, sequence: SequenceKV, tokens: Sequence[int]) -> None:
        """Gives the sequence's hold up: full pages stay in the tree, unlocked; the tail that fills no page is freed.

        Where it is certain, or its program has said, that it will come back for them, the tree is told.
        """
        self.commit(sequence, tokens)
        if sequence.awaits is None and (sequence.returns or sequence.holder is Owner.REQUEST):
            sequence.awaits = sequence.node
            self.tree.expect(sequence.node)
        self.detach(sequence)

    def close(self, sequence: SequenceKV, tokens: Sequence[int]) -> None:
        """As `release`, for good."""
        self.commit(sequence, tokens)
        node = sequence.awaits or sequence.node
        self._dismiss(sequence)
        self.detach(sequence)
        if sequence.returns is False:
            self.tree.retire(node)

    def _dismiss(self, sequence: SequenceKV) -> bool:
        """Nobody has to be told any more that it comes back; whether somebody was."""
        node, sequence.awaits = sequence.awaits, None
        if node is not None:
            self.tree.dismiss(node)
        return node is not None

    def fork(self, sequence: SequenceKV, tokens: Sequence[int]) -> tuple[SequenceKV, list[tuple[int, int]]]:
        """A second sequence with the same KV.

        Full pages are shared through the tree; the tail of less than a page is copied.

        Returns:
            The new sequence, held by a session, and the slot copies (source, target) the runner must make before the
            next step. When no page is free for the tail, the child has it computed again instead.
        """
        self.commit(sequence, tokens)
        self.tree.lock(sequence.node)
        self.tree.hit(sequence.node)
        shared = sequence.num_shared
        child = SequenceKV(
            sequence.namespace,
            sequence.node,
            sequence.pages[:shared],
            shared,
            shared * self.page_size,
            grafts=sequence.grafts,
            priority=sequence.priority,
        )
        tail = sequence.kv_len - child.kv_len
        if tail == 0 or not self.reserve(child, sequence.kv_len):
            return child, []
        source, target = sequence.pages[shared] * self.page_size, child.pages[shared] * self.page_size
        child.kv_len = sequence.kv_len
        return child, [(source + i, target + i) for i in range(tail)]

    def truncate(self, sequence: SequenceKV, num_tokens: int) -> None:
        """Forgets the KV of all tokens from `num_tokens` on.

        A cut inside a shared page gives up that page: nobody writes into what others may read.
        """
        sequence.grafts = tuple(graft.cut(num_tokens) for graft in sequence.grafts if graft.start < num_tokens)
        if num_tokens >= sequence.kv_len:
            return
        kept = num_tokens // self.page_size
        if kept < sequence.num_shared:
            node = self.tree.ancestor(sequence.node, kept * self.page_size)
            self.tree.lock(node)
            self.tree.unlock(sequence.node)
            self.pool.release(sequence.private_pages, sequence.holder)
            sequence.node, sequence.num_shared = node, kept
            sequence.pages, sequence.kv_len = sequence.pages[:kept], kept * self.page_size
            return
        used = -(-num_tokens // self.page_size)
        self.pool.release(sequence.pages[used:], sequence.holder)
        del sequence.pages[used:]
        sequence.kv_len = num_tokens
