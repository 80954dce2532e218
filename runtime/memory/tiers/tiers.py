"""Tiers: what the pool evicts goes down to host memory and to disk, and comes back when a request asks for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from runtime.memory.cache import PrefixCache
from runtime.memory.node import Node, pack
from runtime.memory.tiers.disk import DiskTier
from runtime.memory.tiers.fetch import Fetch
from runtime.memory.tiers.host import HostTier
from runtime.memory.tiers.keys import page_keys
from runtime.memory.tiers.tier_stats import TierStats
from runtime.request import Request

__all__ = ["PageStore", "Tiers"]

MOST_STAGED = 512 << 20
"""Bytes read from disk that wait in memory for their requests to run; one request may take more."""


class PageStore(Protocol):
    """Where the KV of the pool's pages is."""

    @property
    def page_bytes(self) -> int:
        """Bytes of the KV of a page."""

    def read_page(self, page: int) -> bytes:
        """The KV of a page."""

    def write_page(self, page: int, payload: bytes) -> None:
        """Writes what `read_page` gave."""


class Tiers:
    """Host memory and disk below the pool. All methods but `_read` run in the engine's thread.

    Args:
        cache: the pool and the tree.
        store: the KV of the pool's pages.
        host, disk: the tiers; either may be left out.
        write_through: whether a page is written to disk as soon as it is computed, and not only when it is evicted and
            host memory has no room for it any more, or the engine ends.
        fingerprint: of the model.
        stats: counts.
        wake: called from another thread when a request may have become ready.
    """

    def __init__(
        self,
        cache: PrefixCache,
        store: PageStore,
        *,
        host: HostTier,
        disk: DiskTier | None,
        write_through: bool,
        fingerprint: bytes,
        stats: TierStats,
        wake: Callable[[], None],
    ) -> None:
        self._cache = cache
        self._store = store
        self._host = host
        self._disk = disk
        self._writes_through = write_through
        self._fingerprint = fingerprint
        self._stats = stats
        self._wake = wake
        self._page_bytes = store.page_bytes
        self._is_closing = False
        self._reading: dict[bytes, Fetch] = {}  # first key → who fetches it: others wait and find it in the tree
        self._num_staged = 0
        cache.tree.evicting = self._save
        if write_through and disk is not None:
            cache.tree.inserted = partial(self._write, disk)

    # ---- down

    def _write(self, disk: DiskTier, node: Node) -> None:
        """Has a node's pages written, which were just computed; what the disk is too slow for is left for later."""
        for key, page in self._keyed(node):
            disk.put(key, partial(self._store.read_page, page))

    def _save(self, node: Node) -> None:
        """Takes a node's pages, which are about to be evicted."""
        # Backwards, so that a page goes before those it is of no use without.
        for key, page in reversed(self._keyed(node)):
            if key not in self._host:
                self._keep(key, partial(self._store.read_page, page))
        self._stats.host_cache_used_bytes = self._host.num_bytes

    def _keyed(self, node: Node) -> list[tuple[bytes, int]]:
        """A node's pages with their keys, as far as they have any."""
        keys = list(page_keys(node.path_packed(), self._cache.page_size, node.namespace, self._fingerprint))
        start = (node.end - node.num_tokens) // self._cache.page_size
        return list(zip(keys[start:], node.pages, strict=False))

    def _keep(self, key: bytes, read: Callable[[], bytes]) -> None:
        if self._host.max_bytes < self._page_bytes:
            self._sink(key, read)
            return
        payload = read()
        if self._writes_through:
            self._sink(key, partial(bytes, payload))
        for old, content in self._host.put(key, payload):
            self._sink(old, partial(bytes, content))

    def _sink(self, key: bytes, read: Callable[[], bytes]) -> None:
        if self._disk is not None:
            self._disk.put(key, read, wait=self._is_closing)

    # ---- up

    def prefetch(self, request: Request) -> bool:
        """Begins to fetch what the tiers have of a waiting request's prompt; whether it has to wait no longer."""
        fetch = request.fetch
        if fetch is None:
            fetch = request.fetch = Fetch(self._keys(request))
        if not fetch.is_begun and not self._begin(request, fetch):
            return False
        return fetch.is_ready

    def _keys(self, request: Request) -> tuple[bytes, ...]:
        """The keys of a request's full pages, as far as these may be matched."""
        packed = pack(request.sequence.keyed(request.tokens)[:-1])
        return tuple(page_keys(packed, self._cache.page_size, request.sequence.namespace, self._fingerprint))

    def _begin(self, request: Request, fetch: Fetch) -> bool:
        """Decides what to fetch; False where that cannot be decided yet."""
        if self._disk is not None and not self._disk.is_listed:
            return False
        fetch.first = self._cache.match(request.sequence, request.tokens) // self._cache.page_size
        keys = fetch.keys[fetch.first :]
        if not keys or not self._has(keys[0]):
            fetch.is_begun = fetch.is_ready = True
            if keys and self._disk is not None:
                self._disk.refresh()
            return True
        other = self._reading.get(keys[0])
        if self._num_staged > MOST_STAGED or (other is not None and not other.is_ready):
            return False
        fetch.is_begun = True
        self._plan(fetch, keys, {} if other is None else other.known())
        if other is None:
            self._reading[keys[0]] = fetch
        if self._disk is None or None not in fetch.pages:
            fetch.is_ready = True
        else:
            self._disk.submit(partial(self._read, self._disk, fetch))
        return True

    def _has(self, key: bytes) -> bool:
        return key in self._host or (self._disk is not None and key in self._disk)

    def _plan(self, fetch: Fetch, keys: Sequence[bytes], shared: dict[bytes, tuple[bytes, bool]]) -> None:
        """Lists the pages there are, those of host memory and those another request has fetched with their KV."""
        for key in keys:
            payload, is_disk = shared.get(key) or (self._host.get(key), False)
            if payload is None:
                if self._disk is None or key not in self._disk:
                    break
                is_disk = True
            fetch.pages.append(payload)
            fetch.is_disk.append(is_disk)
            fetch.num_staged += 0 if key in shared else self._page_bytes
        self._num_staged += fetch.num_staged

    def _read(self, disk: DiskTier, fetch: Fetch) -> None:
        """Reads what the disk has to give, up to the first page that it has not. In the disk's thread."""
        try:
            pages, keys = fetch.pages, fetch.keys[fetch.first :]
            for place, page in enumerate(pages):
                if fetch.is_over:
                    break
                if page is None:
                    pages[place] = disk.read(keys[place])
                    if pages[place] is None:
                        break
        finally:
            fetch.is_ready = True
            self._wake()

    def bring_in(self, request: Request) -> None:
        """Puts what was fetched for a request that is about to run into the pool, where the tree finds it."""
        fetch = request.fetch
        if fetch is None or not fetch.is_ready or fetch.is_over:
            return
        pages = fetch.whole_pages()
        if pages:
            sequence = request.sequence
            keyed = sequence.keyed(request.tokens)

            def fill(place: int, page: int) -> None:
                self._store.write_page(page, pages[place])
                if fetch.is_disk[place]:
                    self._stats.disk_hit_tokens += self._cache.page_size
                else:
                    self._stats.host_hit_tokens += self._cache.page_size

            self._cache.bring_in(keyed, sequence.namespace, fetch.first, len(pages), fill)
        self._end(fetch)

    def drop(self, request: Request) -> None:
        """The request waits no longer, or begins to wait anew."""
        fetch, request.fetch = request.fetch, None
        if fetch is not None:
            self._end(fetch)

    def _end(self, fetch: Fetch) -> None:
        if fetch.is_over:
            return
        fetch.is_over = True
        fetch.pages = []
        self._num_staged -= fetch.num_staged
        first = fetch.keys[fetch.first] if fetch.first < len(fetch.keys) else b""
        if self._reading.get(first) is fetch:
            del self._reading[first]

    # ---- all

    def forget(self) -> None:
        """Empties host memory, and deletes this model's pages on disk."""
        self._host.clear()
        self._stats.host_cache_used_bytes = 0
        if self._disk is not None:
            self._disk.clear()

    def drop_tree(self) -> int:
        """Evicts everything that is unlocked and keeps nothing of it; returns the tokens dropped."""
        self._cache.tree.evicting = lambda _: None
        try:
            return self._cache.tree.clear()
        finally:
            self._cache.tree.evicting = self._save

    def close(self, *, save: bool) -> None:
        """Ends the disk's threads.

        Args:
            save: whether what is in the pool and in host memory is written to disk before.
        """
        if self._disk is None:
            return
        self._is_closing = True
        if save:
            self._cache.tree.clear()
            while len(self._host):
                key, payload = self._host.pop_oldest()
                self._sink(key, partial(bytes, payload))
        self._disk.close()
