"""HostTier: evicted pages in host memory, the least recently used of which make way."""

from __future__ import annotations

from collections import OrderedDict

__all__ = ["HostTier"]


class HostTier:
    """Key → KV of a page. Used by the engine's thread alone.

    Args:
        max_bytes: of KV at most.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.num_bytes = 0
        self._pages: OrderedDict[bytes, bytes] = OrderedDict()

    def __len__(self) -> int:
        return len(self._pages)

    def __contains__(self, key: bytes) -> bool:
        return key in self._pages

    def get(self, key: bytes) -> bytes | None:
        """The page, which counts as used now."""
        if key not in self._pages:
            return None
        self._pages.move_to_end(key)
        return self._pages[key]

    def put(self, key: bytes, payload: bytes) -> list[tuple[bytes, bytes]]:
        """Keeps a page; returns those, the oldest first, that had to make way: the page itself if it is too large."""
        if len(payload) > self.max_bytes:
            return [(key, payload)]
        old = self._pages.pop(key, b"")
        self._pages[key] = payload
        self.num_bytes += len(payload) - len(old)
        gone: list[tuple[bytes, bytes]] = []
        while self.num_bytes > self.max_bytes:
            gone.append(self.pop_oldest())
        return gone

    def pop_oldest(self) -> tuple[bytes, bytes]:
        """Takes out the page that was not used for longest.

        Raises:
            KeyError: there is none.
        """
        key, payload = self._pages.popitem(last=False)
        self.num_bytes -= len(payload)
        return key, payload

    def clear(self) -> None:
        """Forgets everything."""
        self._pages.clear()
        self.num_bytes = 0
