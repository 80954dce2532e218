"""Ranks: the page pools of one side, and how its layout lays a request's pages out on them.

Every rank has a ledger of its own, and whatever is off is said with the rank's name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from runtime.ledger import Owner
from runtime.memory.pages import OutOfPages, PagePool

__all__ = ["Claims", "PartitionedRanks", "Ranks", "ReplicatedRanks"]

Claims = Iterable[tuple[int, Owner, Sequence[int]]]
"""(rank, owner, pages) of everybody who holds any."""


class Ranks:
    """Pools of the same size, one a rank.

    Args:
        side: names the ranks: `side-0`, `side-1` …
        num_pages: usable pages of each.
        page_size: slots a page.
    """

    def __init__(self, side: str, num_ranks: int, num_pages: int, page_size: int) -> None:
        self.page_size = page_size
        self.num_pages = num_pages
        self.pools = tuple(PagePool(num_pages, page_size, f"{side}-{rank}") for rank in range(num_ranks))

    def __len__(self) -> int:
        return len(self.pools)

    def tables(self) -> Mapping[str, Mapping[str, int]]:
        """Rank → owner → slots."""
        return {pool.ledger.rank: pool.ledger.table() for pool in self.pools}

    def check(self, claims: Claims) -> None:
        """Compares every page of every rank with who claims it.

        Raises:
            LedgerError: naming the rank, with its table of owners.
        """
        held: list[dict[Owner, list[int]]] = [
            {Owner.FREE: list(pool.free_pages()), Owner.TREE: [], Owner.REQUEST: [], Owner.SESSION: []}
            | {Owner.IN_TRANSFER: []}
            for pool in self.pools
        ]
        for rank, owner, pages in claims:
            held[rank][owner].extend(pages)
        for pool, own in zip(self.pools, held, strict=True):
            pool.ledger.check(own)

    def check_idle(self) -> None:
        """Nobody is left, so every page of every rank must be free.

        Raises:
            LedgerError: naming the first rank that has lost some, how many, and to which owner.
        """
        for pool in self.pools:
            lost = pool.ledger.total - pool.ledger.slots(Owner.FREE)
            if lost:
                raise pool.ledger.error(f"idle, but {lost} of {pool.ledger.total} slots are not free")


class ReplicatedRanks(Ranks):
    """Tensor parallel: a request has the same pages on every rank, each with its share of the heads."""

    def allocate(self, count: int, owner: Owner) -> list[int]:
        """Hands out `count` pages, the same on every rank.

        Raises:
            OutOfPages: fewer are free.
            LedgerError: the ranks have come apart.
        """
        first, *others = [pool.allocate(count, owner) for pool in self.pools if self._has(pool, count)]
        for pool, pages in zip(self.pools[1:], others, strict=True):
            if pages != first:
                raise pool.ledger.error(f"pages {pages} were handed out, and {first} on {self.pools[0].ledger.rank}")
        return first

    @staticmethod
    def _has(pool: PagePool, count: int) -> bool:
        """Asked of the first rank before anything is handed out anywhere: all have equally many."""
        if count > pool.num_free:
            raise OutOfPages(f"{count} pages asked for, {pool.num_free} free on {pool.ledger.rank}")
        return True

    def move(self, pages: Sequence[int], source: Owner, target: Owner) -> None:
        """Hands pages from one owner to another, on every rank."""
        for pool in self.pools:
            pool.ledger.move(pages, source, target)

    def release(self, pages: Sequence[int], owner: Owner) -> None:
        """Takes pages back, on every rank."""
        for pool in self.pools:
            pool.release(pages, owner)


class PartitionedRanks(Ranks):
    """Data parallel: a request has its pages on one rank, which other ranks know nothing of."""

    def place(self, count: int, waiting: Mapping[int, int]) -> int:
        """The rank for a request of `count` pages: the one with the most left beside those who wait for it.

        Args:
            waiting: rank → pages that are promised to requests which have none yet.
        """
        return max(range(len(self.pools)), key=lambda rank: self.pools[rank].num_free - waiting.get(rank, 0))
