"""The ledger: who owns every page of the KV pool. Decides nothing; refuses moves that cannot be right."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping

from runtime.errors import LedgerError

__all__ = ["Ledger", "Owner"]


class Owner(enum.IntEnum):
    """The one owner a page has at any time."""

    FREE = 0
    TREE = 1
    REQUEST = 2
    SESSION = 3
    IN_TRANSFER = 4
    PADDING = 5


class Ledger:
    """Page → owner, with a running count per owner.

    Every change of owner is a `move`, which checks that the source really owns the page: a double free, a page
    handed out twice or a forgotten release is found where it happens, not when the pool runs dry.

    Args:
        num_pages: pages of the pool, the padding page 0 counted.
        page_size: slots a page.
        rank: whose pool it is, for error messages, where there are several.
    """

    def __init__(self, num_pages: int, page_size: int, rank: str = "") -> None:
        self.page_size = page_size
        self.rank = rank
        self._owners = bytearray(num_pages)
        self._owners[0] = Owner.PADDING
        self._counts = [0] * len(Owner)
        self._counts[Owner.FREE] = num_pages - 1
        self._counts[Owner.PADDING] = 1

    @property
    def total(self) -> int:
        """Slots in the pool, padding not counted."""
        return (len(self._owners) - 1) * self.page_size

    def slots(self, owner: Owner) -> int:
        """Slots that `owner` has."""
        return self._counts[owner] * self.page_size

    def owner(self, page: int) -> Owner:
        """Who owns `page`."""
        return Owner(self._owners[page])

    def move(self, pages: Iterable[int], source: Owner, target: Owner) -> None:
        """Hands pages from one owner to another.

        Raises:
            LedgerError: a page is not `source`'s; pages before it in the iteration have been moved.
        """
        moved = 0
        owners = self._owners
        try:
            for page in pages:
                if owners[page] != source:
                    held = Owner(owners[page]).name
                    raise self.error(f"page {page}: {source.name} → {target.name}, but {held} owns it")
                owners[page] = target
                moved += 1
        finally:
            self._counts[source] -= moved
            self._counts[target] += moved

    def table(self) -> dict[str, int]:
        """Owner → slots, and `total`; padding is not counted."""
        rows = {owner.name.lower(): self.slots(owner) for owner in Owner if owner is not Owner.PADDING}
        return {**rows, "total": self.total}

    def check(self, claims: Mapping[Owner, Iterable[int]] | None = None) -> None:
        """Recounts every page and, given who claims which pages, compares page by page.

        Args:
            claims: owner → the pages its own books say it holds. Owners left out are not compared.

        Raises:
            LedgerError: with the table of owners.
        """
        for owner in Owner:
            counted = self._owners.count(owner)
            if counted != self._counts[owner]:
                raise self.error(f"{owner.name}: {counted} pages, booked {self._counts[owner]}")
        for owner, pages in (claims or {}).items():
            self._check_claim(owner, list(pages))

    def _check_claim(self, owner: Owner, pages: list[int]) -> None:
        if len(set(pages)) != len(pages):
            raise self.error(f"{owner.name} claims a page twice")
        for page in pages:
            if self._owners[page] != owner:
                held = Owner(self._owners[page]).name
                raise self.error(f"{owner.name} claims page {page}, which {held} owns")
        if len(pages) != self._counts[owner]:
            raise self.error(f"{owner.name} claims {len(pages)} pages, booked {self._counts[owner]}")

    def error(self, what: str) -> LedgerError:
        """The error that says what is off, with the rank and the table of owners."""
        rows = [f"  {name:<12}{slots:>12}" for name, slots in self.table().items()]
        return LedgerError("\n".join([f"rank {self.rank}: {what}" if self.rank else what, *rows]))
