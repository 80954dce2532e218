"""PageFolder: the page files of a directory, of all models together, held within a number of bytes.

A file is written under another name, flushed to the disk and renamed: whatever is there under its own name was written
whole. Whoever writes holds the directory's lock, so what is unfinished then was left by a crash, and is deleted.
"""

from __future__ import annotations

import os
import stat
import tempfile
import threading
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

from runtime.memory.tiers.folder_lock import FolderLock

__all__ = ["SUFFIX", "PageFolder"]

SUFFIX, UNFINISHED = ".kv", ".kv-unfinished"


class PageFolder:
    """Name → file. Safe to use from several threads, processes and engines.

    Args:
        path: the directory; made where it is missing.
        max_bytes: of all page files in it together, at every moment, also of one that is being written.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self.num_bytes = 0
        self._files: OrderedDict[str, int] = OrderedDict()  # name → bytes, the least recently used first
        self._guard = threading.Lock()  # of both, never held for long
        self._changing = threading.Lock()  # held while files are listed or written
        self._lock = FolderLock(path)

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def look(self) -> bool:
        """Looks what is there; returns whether it has to be tidied.

        Raises:
            OSError: it cannot be made, or looked into.
        """
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._changing:
            unfinished = self._found()
        return bool(unfinished) or self.num_bytes > self.max_bytes

    def tidy(self) -> None:
        """Deletes what crashes left behind, and what is more than `max_bytes`.

        Raises:
            OSError: that cannot be done.
        """
        with self._lock.held(), self._changing:
            self._clean()
            self._make_room(0)

    def read(self, name: str, most_bytes: int) -> bytes:
        """A file's content, of which the size is known; it counts as used now.

        Raises:
            OSError: there is none, or it cannot be read.
        """
        path = self.path / name
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(f"{path} is no file")
            with open(descriptor, "rb", closefd=False) as file:
                content = file.read(most_bytes + 1)
        finally:
            os.close(descriptor)
        with self._guard:
            if name in self._files:
                self._files.move_to_end(name)
        with suppress(OSError):
            os.utime(path)
        return content

    def save(self, name: str, content: bytes) -> bool:
        """Writes a file, after deleting those that were not used for longest where there is no room.

        Returns:
            False where it is there already, or never fits.

        Raises:
            OSError: it cannot be written; nothing of it is left.
        """
        if len(content) > self.max_bytes:
            return False
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._lock.held() as is_changed, self._changing:
            if is_changed:
                self._clean()
            if name in self._files:
                return False
            self._make_room(len(content))
            self._write(name, content)
            with self._guard:
                self.num_bytes += len(content)
                self._files[name] = len(content)
        return True

    def forget(self, name: str) -> None:
        """Has a file taken for missing from now on."""
        with self._guard:
            self.num_bytes -= self._files.pop(name, 0)

    def forget_all(self, prefix: str) -> None:
        """Has all files taken for missing whose names begin so."""
        for name in self._called(prefix):
            self.forget(name)

    def remove_all(self, prefix: str) -> None:
        """Deletes all files whose names begin so.

        Raises:
            OSError: one of them cannot be deleted.
        """
        with self._lock.held(), self._changing:
            self._clean()
            for name in self._called(prefix):
                self.remove(name)

    def remove(self, name: str) -> None:
        """Deletes one file, if it is there.

        Raises:
            OSError: it cannot be deleted.
        """
        (self.path / name).unlink(missing_ok=True)
        self.forget(name)

    def _called(self, prefix: str) -> list[str]:
        with self._guard:
            return [name for name in self._files if name.startswith(prefix)]

    def _clean(self) -> None:
        """Looks what is there, and deletes what crashes left behind. Needs both locks."""
        for name in self._found():
            (self.path / name).unlink(missing_ok=True)

    def _found(self) -> list[str]:
        """Looks what is there; returns the names of unfinished files, of which one may be somebody's who writes."""
        found, unfinished = [], []
        with os.scandir(self.path) as entries:
            for entry in entries:
                if entry.name.endswith(UNFINISHED):
                    unfinished.append(entry.name)
                elif entry.name.endswith(SUFFIX):
                    with suppress(FileNotFoundError):
                        if entry.is_file(follow_symlinks=False):
                            status = entry.stat(follow_symlinks=False)
                            found.append((status.st_mtime_ns, entry.name, status.st_size))
        with self._guard:
            self._files = OrderedDict((name, size) for _, name, size in sorted(found))
            self.num_bytes = sum(self._files.values())
        return unfinished

    def _make_room(self, size: int) -> None:
        while self._files and self.num_bytes + size > self.max_bytes:
            with self._guard:
                name = next(iter(self._files))
            self.remove(name)

    def _write(self, name: str, content: bytes) -> None:
        handle, unfinished = tempfile.mkstemp(suffix=UNFINISHED, dir=self.path)
        try:
            with open(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, self.path / name)
        except BaseException:
            with suppress(OSError):
                os.unlink(unfinished)
            raise
