"""The page pool: which pages are free. Every page it hands out or takes back is booked in the ledger."""

from __future__ import annotations

from collections.abc import Sequence

from runtime.ledger import Ledger, Owner

__all__ = ["OutOfPages", "PagePool"]


class OutOfPages(Exception):
    """Fewer pages are free than were asked for. The caller evicts, retracts or waits; users never see it."""


class PagePool:
    """Free pages as a stack, so that what was used last, and is warm, is used next.

    Args:
        num_pages: usable pages; the padding page 0 comes on top.
        page_size: slots a page.
        rank: whose pool it is, where there are several.
    """

    def __init__(self, num_pages: int, page_size: int, rank: str = "") -> None:
        self.page_size = page_size
        self.num_pages = num_pages
        self.ledger = Ledger(num_pages + 1, page_size, rank)
        self._free = list(range(num_pages, 0, -1))

    @property
    def num_free(self) -> int:
        """Pages that can be handed out at once."""
        return len(self._free)

    def allocate(self, count: int, owner: Owner) -> list[int]:
        """Hands out `count` pages.

        Raises:
            OutOfPages: fewer are free; nothing was handed out.
        """
        if count > len(self._free):
            raise OutOfPages(f"{count} pages asked for, {len(self._free)} free")
        if count == 0:
            return []
        pages = self._free[-count:]
        pages.reverse()
        self.ledger.move(pages, Owner.FREE, owner)
        del self._free[-count:]
        return pages

    def release(self, pages: Sequence[int], owner: Owner) -> None:
        """Takes pages back from `owner`."""
        self.ledger.move(pages, owner, Owner.FREE)
        self._free.extend(reversed(pages))

    def free_pages(self) -> tuple[int, ...]:
        """The free list, for `Ledger.check`."""
        return tuple(self._free)
