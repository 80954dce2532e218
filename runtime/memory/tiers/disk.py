"""DiskTier: pages as files in a directory, which outlives the engine and may be shared with others.

A file is written under a temporary name, flushed to the disk and renamed: whatever is there under its own name was
written whole, and what the disk has done to it since, the checksum tells. Nothing that goes wrong here is an error.
"""

from __future__ import annotations

import logging
import os
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from runtime.memory.tiers.page_file import DamagedPage, decode, encode, file_size
from runtime.memory.tiers.tier_stats import TierStats

__all__ = ["DiskTier"]

log = logging.getLogger("sgdsl.tiers")

SUFFIX, UNFINISHED = ".kv", ".kv-unfinished"
MOST_PENDING = 256 << 20
RESCAN_SECONDS = 10.0
ABANDONED_SECONDS = 3600.0


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
        self.folder = folder
        self.max_bytes = max_bytes
        self.is_listed = False
        self._fingerprint = fingerprint
        self._payload_bytes = payload_bytes
        self._stats = stats
        self._listed = listed
        self._prefix = fingerprint[:8].hex() + "-"
        self._files: OrderedDict[str, int] = OrderedDict()  # name → bytes, the least recently used first
        self._pending: dict[bytes, bytes] = {}
        self._room = threading.Condition()  # guards both, and whoever waits for pending writes
        self._next_listing = 0.0
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="sgdsl-tier-read")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="sgdsl-tier-write")
        stats.disk_is_writable = True
        self.refresh()

    # ---- from the engine's thread

    def __contains__(self, key: bytes) -> bool:
        with self._room:
            return key in self._pending or self._name(key) in self._files

    def refresh(self) -> None:
        """Has the directory listed again, if that was long ago: others may write into it."""
        now = time.monotonic()
        if now >= self._next_listing:
            self._next_listing = now + RESCAN_SECONDS
            self._reader.submit(self._list)

    def submit(self, action: Callable[[], None]) -> None:
        """Has `action` called in the thread that reads."""
        self._reader.submit(action)

    def put(self, key: bytes, payload: bytes, *, wait: bool = False) -> None:
        """Has a page written soon; dropped where too many wait to be, unless the caller can wait himself."""
        most = max(1, MOST_PENDING // len(payload))
        with self._room:
            if not self._stats.disk_is_writable or key in self._pending or self._name(key) in self._files:
                return
            if wait:
                self._room.wait_for(lambda: len(self._pending) < most)
            if len(self._pending) >= most:
                self._stats.disk_pages_dropped += 1
                return
            self._pending[key] = payload
        self._writer.submit(self._write, key, payload)

    def clear(self) -> None:
        """Forgets this model's pages, those that wait to be written too, and has their files deleted."""
        with self._room:
            own = [name for name in self._files if name.startswith(self._prefix)]
            for name in own:
                self._stats.disk_cache_used_bytes -= self._files.pop(name)
            self._pending.clear()
            self._room.notify_all()
        self._writer.submit(self._delete, own)

    def close(self) -> None:
        """Ends the threads, after everything that waits has been written."""
        self._writer.shutdown()
        self._reader.shutdown()

    # ---- in the threads

    def read(self, key: bytes) -> bytes | None:
        """The page; None where there is none that is whole and this model's."""
        name = self._name(key)
        with self._room:
            if key in self._pending:
                return self._pending[key]
        try:
            content = (self.folder / name).read_bytes()
            payload = decode(content, self._fingerprint, key, self._payload_bytes)
        except FileNotFoundError:  # another engine has made room
            self._forget(name)
            return None
        except (OSError, DamagedPage) as error:
            log.info("%s is taken for a miss: %s", name, error)
            self._stats.tier_misses_damaged += 1
            self._forget(name)
            with suppress(OSError):  # so that it is written anew
                (self.folder / name).unlink()
            return None
        with self._room:
            if name in self._files:
                self._files.move_to_end(name)
        with suppress(OSError):
            os.utime(self.folder / name)
        return payload

    def _name(self, key: bytes) -> str:
        return self._prefix + key.hex() + SUFFIX

    def _list(self) -> None:
        try:
            found = self._found()
        except OSError as error:
            self._stop_writing(error)
            found = []
        with self._room:
            self._files = OrderedDict((name, size) for _, name, size in sorted(found))
            self._stats.disk_cache_used_bytes = sum(self._files.values())
        self.is_listed = True
        self._listed()

    def _found(self) -> list[tuple[int, str, int]]:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = []
        with os.scandir(self.folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    status = entry.stat()
                    if entry.name.endswith(SUFFIX) and entry.is_file():
                        found.append((status.st_mtime_ns, entry.name, status.st_size))
                    elif entry.name.endswith(UNFINISHED) and time.time() - status.st_mtime > ABANDONED_SECONDS:
                        with suppress(OSError):
                            os.unlink(entry.path)
        return found

    def _write(self, key: bytes, payload: bytes) -> None:
        try:
            if key in self._pending and self._stats.disk_is_writable and self._make_room(file_size(len(payload))):
                self._save(self._name(key), encode(self._fingerprint, key, payload))
        except OSError as error:
            self._stop_writing(error)
        finally:
            with self._room:
                self._pending.pop(key, None)
                self._room.notify_all()

    def _save(self, name: str, content: bytes) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, unfinished = tempfile.mkstemp(suffix=UNFINISHED, dir=self.folder)
        try:
            with open(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, self.folder / name)
        except BaseException:
            with suppress(OSError):
                os.unlink(unfinished)
            raise
        self._stats.disk_pages_written += 1
        with self._room:
            self._stats.disk_cache_used_bytes += len(content) - self._files.pop(name, 0)
            self._files[name] = len(content)

    def _make_room(self, size: int) -> bool:
        """Deletes what was not used for longest until a file of `size` fits; False where it never will."""
        if size > self.max_bytes:
            return False
        while True:
            with self._room:
                if not self._files or self._stats.disk_cache_used_bytes + size <= self.max_bytes:
                    return True
                name = next(iter(self._files))
            (self.folder / name).unlink(missing_ok=True)
            self._forget(name)

    def _forget(self, name: str) -> None:
        with self._room:
            self._stats.disk_cache_used_bytes -= self._files.pop(name, 0)

    def _delete(self, names: list[str]) -> None:
        try:
            for name in names:
                (self.folder / name).unlink(missing_ok=True)
        except OSError as error:
            self._stop_writing(error)

    def _stop_writing(self, error: OSError) -> None:
        with self._room:
            was, self._stats.disk_is_writable = self._stats.disk_is_writable, False
        if was:
            log.warning("disk_cache_dir=%s: pages are not written any more: %s", self.folder, error)
