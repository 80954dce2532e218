"""FolderLock: of all engines that share a directory, one changes it at a time."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["FolderLock"]

NAME = "sgdsl-tier.lock"
PATIENCE_SECONDS = 10.0
POLL_SECONDS = 0.002
_COUNT_BYTES = 8


class FolderLock:
    """A lock of the operating system's on a file in the directory: it ends with whoever holds it, crashed or not.

    The file holds a count, which every holder raises before changing anything: by it the next one sees whether what it
    knows of the directory still holds.

    Args:
        folder: the directory.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._count = -1

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Holds it; gives whether somebody else did since the last time. The first time that is not known, so True.

        Raises:
            OSError: the directory cannot be written to, or another engine did not let go of it.
        """
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._acquire(descriptor)
            try:
                found = int.from_bytes(os.pread(descriptor, _COUNT_BYTES, 0), "little")
                is_changed, self._count = found != self._count, (found + 1) % (1 << 8 * _COUNT_BYTES)
                os.pwrite(descriptor, self._count.to_bytes(_COUNT_BYTES, "little"), 0)
                yield is_changed
            finally:
                fcntl.flock(descriptor, fcntl.LOCK_UN)
        finally:
            os.close(descriptor)

    @staticmethod
    def _acquire(descriptor: int) -> None:
        gives_up = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > gives_up:
                    raise TimeoutError(f"another engine has held {NAME} for {PATIENCE_SECONDS:.0f} s") from None
            time.sleep(POLL_SECONDS)
