"""DiskTier: pages as files in a directory, which outlives the engine and may be shared with others.

What the disk has done to a file since it was written, its checksum tells. Nothing that goes wrong here is an error.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from runtime.memory.tiers.page_file import DamagedPage, decode, encode, file_size
from runtime.memory.tiers.page_folder import SUFFIX, PageFolder
from runtime.memory.tiers.tier_stats import TierStats

__all__ = ["DiskTier"]

log = logging.getLogger("sgdsl.tiers")

MOST_PENDING = 256 << 20
"""Bytes that wait in memory to be written."""

RESCAN_SECONDS = 10.0


class DiskTier:
    """Key → file. The directory is listed, read and written in threads of the tier's own.

    Args:
        folder: the directory; made where it is missing.
        max_bytes: of all page files in it together, other models' too.
        fingerprint: 32 bytes, of the model.
        payload_bytes: KV bytes of a page.
        stats: counts.
        listed: called, in a thread of the tier's, whenever the directory has been listed.
    """

    def __init__(
        self,
        folder: Path,
        max_bytes: int,
        fingerprint: bytes,
        payload_bytes: int,
        stats: TierStats,
        listed: Callable[[], None] = lambda: None,
    ) -> None:
        self.folder = PageFolder(folder, max_bytes)
        self.is_listed = False
        self._fingerprint = fingerprint
        self._payload_bytes = payload_bytes
        self._stats = stats
        self._listed = listed
        self._prefix = fingerprint[:8].hex() + "-"
        self._pending: dict[bytes, bytes] = {}
        self._room = threading.Condition()  # guards it, and wakes who waits for pending writes
        self._next_listing = 0.0
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="sgdsl-tier-read")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="sgdsl-tier-write")
        stats.disk_is_writable = True
        self.refresh()

    # ---- from the engine's thread

    def __contains__(self, key: bytes) -> bool:
        return key in self._pending or self._name(key) in self.folder

    def refresh(self) -> None:
        """Has the directory listed again, if that was long ago: others may write into it."""
        now = time.monotonic()
        if now >= self._next_listing:
            self._next_listing = now + RESCAN_SECONDS
            self._reader.submit(self._list)

    def submit(self, action: Callable[[], None]) -> None:
        """Has `action` called in the thread that reads."""
        self._reader.submit(action)

    def put(self, key: bytes, read: Callable[[], bytes], *, wait: bool = False) -> None:
        """Has a page written soon; dropped where too many wait to be, unless the caller can wait himself.

        Args:
            read: gives the page's KV; called at once, and only where it is going to be written.
        """
        if not self._stats.disk_is_writable or key in self:
            return
        most = max(1, MOST_PENDING // self._payload_bytes)
        with self._room:
            if wait:
                self._room.wait_for(lambda: len(self._pending) < most)
            if len(self._pending) >= most:
                self._stats.disk_pages_dropped += 1
                return
        payload = read()  # nobody but this thread adds to what is pending
        with self._room:
            self._pending[key] = payload
        self._writer.submit(self._write, key, payload)

    def clear(self) -> None:
        """Forgets this model's pages, those that wait to be written too, and has their files deleted."""
        self.folder.forget_all(self._prefix)
        self._stats.disk_cache_used_bytes = self.folder.num_bytes
        with self._room:
            self._pending.clear()
            self._room.notify_all()
        self._writer.submit(self._change, lambda: self.folder.remove_all(self._prefix))

    def close(self) -> None:
        """Ends the threads, after everything that waits has been written."""
        self._reader.shutdown()  # first: what it finds it may want tidied
        self._writer.shutdown()

    # ---- in the threads

    def read(self, key: bytes) -> bytes | None:
        """The page; None where there is none that is whole and this model's."""
        pending = self._pending.get(key)
        if pending is not None:
            return pending
        name = self._name(key)
        try:
            content = self.folder.read(name, file_size(self._payload_bytes))
            return decode(content, self._fingerprint, key, self._payload_bytes)
        except FileNotFoundError:  # another engine has made room
            self.folder.forget(name)
        except (OSError, DamagedPage) as error:
            log.info("%s is taken for a miss: %s", name, error)
            self._stats.tier_misses_damaged += 1
            self.folder.forget(name)
            with suppress(OSError):  # so that it is written anew
                self.folder.remove(name)
        self._stats.disk_cache_used_bytes = self.folder.num_bytes
        return None

    def _name(self, key: bytes) -> str:
        return self._prefix + key.hex() + SUFFIX

    def _list(self) -> None:
        try:
            if self.folder.look():
                self._writer.submit(self._change, self.folder.tidy)
        except OSError as error:
            self._stop_writing(error)
        finally:  # somebody waits for it, come what may
            self._stats.disk_cache_used_bytes = self.folder.num_bytes
            self.is_listed = True
            self._listed()

    def _write(self, key: bytes, payload: bytes) -> None:
        try:
            if key in self._pending and self._stats.disk_is_writable:
                self._change(lambda: self._save(key, payload))
        finally:
            with self._room:
                self._pending.pop(key, None)
                self._room.notify_all()

    def _save(self, key: bytes, payload: bytes) -> None:
        content = encode(self._fingerprint, key, payload)
        with suppress(IsADirectoryError):  # in this page's place, and in no other's
            self._stats.disk_pages_written += self.folder.save(self._name(key), content)

    def _change(self, action: Callable[[], None]) -> None:
        """Writes or deletes files; once that has failed, no more are written."""
        try:
            action()
        except OSError as error:
            self._stop_writing(error)
        self._stats.disk_cache_used_bytes = self.folder.num_bytes

    def _stop_writing(self, error: OSError) -> None:
        with self._room:
            was, self._stats.disk_is_writable = self._stats.disk_is_writable, False
        if was:
            log.warning("disk_cache_dir=%s: pages are not written any more: %s", self.folder.path, error)
