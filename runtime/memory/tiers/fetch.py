"""Fetch: the pages that tiers hold of one waiting request's prompt, on their way to it."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Fetch"]


@dataclass(eq=False, slots=True)
class Fetch:
    """Pages of one request, while it waits.

    Attributes:
        keys: of all full pages of the prompt that may be matched, in order.
        first: index of the first page that is fetched; those before it are in the pool.
        pages: KV of the pages from there on; None for what has still to be read, and for what could not be.
        is_disk: of each, whether it is the disk's, or else host memory's.
        num_staged: bytes that it may hold in memory and nobody else.
        is_begun: whether it has been decided what to fetch.
        is_ready: whether everything has been read.
        is_over: whether nobody waits for it any more.
    """

    keys: tuple[bytes, ...]
    first: int = 0
    pages: list[bytes | None] = field(default_factory=list)
    is_disk: list[bool] = field(default_factory=list)
    num_staged: int = 0
    is_begun: bool = False
    is_ready: bool = False
    is_over: bool = False

    def whole_pages(self) -> list[bytes]:
        """The pages up to the first that is missing."""
        whole: list[bytes] = []
        for page in self.pages:
            if page is None:
                break
            whole.append(page)
        return whole

    def known(self) -> dict[bytes, tuple[bytes, bool]]:
        """Key → page, and whether it is the disk's."""
        rows = zip(self.keys[self.first :], self.pages, self.is_disk, strict=False)
        return {key: (page, is_disk) for key, page, is_disk in rows if page is not None}
