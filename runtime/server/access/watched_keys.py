"""WatchedKeys: the keys of a file, read again when the file has changed."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from runtime.errors import ConfigError
from runtime.server.access.key_file import KeyEntry, read_keys

__all__ = ["WatchedKeys"]

log = logging.getLogger("sgdsl.server")

LOOK_SECONDS = 1.0
"""Between two looks at the file."""

Stamp: TypeAlias = "tuple[int, ...] | None"


class WatchedKeys:
    """Looked at when somebody asks, and not more often than once a second.

    A file that is broken or gone changes nothing: the keys before it stay, and the log says why, once.

    Args:
        path: of the file.
        clock: seconds on a clock that only goes forward.

    Attributes:
        entries: the keys.

    Raises:
        ConfigError: the file is none.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._looked = clock()
        self._stamp = _stamp(path)  # before it is read: a change in between is seen next time
        self.entries: list[KeyEntry] = read_keys(path)

    def has_changed(self) -> bool:
        """Looks at the file, where that is due; True where `entries` are others than before."""
        now = self._clock()
        if now - self._looked < LOOK_SECONDS:
            return False
        self._looked = now
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            entries = read_keys(self._path)
        except ConfigError as error:
            log.error("the keys stay as they were: %s", error)
            return False
        log.info("api_key_file=%r was read again: %d keys", str(self._path), len(entries))
        before, self.entries = self.entries, entries
        return before != entries


def _stamp(path: Path) -> Stamp:
    """What differs when a file was written or another has taken its place; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
