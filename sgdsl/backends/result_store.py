"""ResultStore: JSON values by key in a SQLite file of bounded size. Whatever is wrong with the file is a miss."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sqlite3
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["ResultStore"]

VERSION = 1
BUSY_SECONDS = 5.0
KEPT_SHARE = 0.9
"""How full the store is left when it had become too full, so that not every value pays for another's room."""

_log = logging.getLogger("sgdsl.cache")


class ResultStore:
    """Safe to use from several threads, and from several processes on one file.

    A file that is damaged is put aside under another name, with a warning in the log, and a new one begun.

    Args:
        path: of the file; its folder is made where it is missing.
        max_bytes: what values may take together; the ones not asked for longest are forgotten.

    Raises:
        OSError: the folder cannot be made.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._num_bytes = 0
        self._database: sqlite3.Connection | None = None
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._open()
        except sqlite3.OperationalError as error:  # locked, or not to be written: the file is not to blame
            _log.warning("%s cannot be used as a cache (%s): nothing is kept", path, error)
        except sqlite3.Error as error:
            self._start_afresh(error)

    @property
    def num_bytes(self) -> int:
        """What the values take, as far as this process knows."""
        return self._num_bytes

    def get(self, key: bytes) -> Any:
        """The value of a key; None where there is none that is whole."""
        with self._lock:
            row = self._try(self._find, key)
        if row is None:
            return None
        value, digest = row
        if not isinstance(value, bytes) or _digest(key, value) != digest:
            _log.warning("%s: a result was damaged and is forgotten", self.path)
            self.drop(key)
            return None
        return json.loads(value)

    def put(self, key: bytes, value: Any) -> None:
        """Keeps a value; one that would leave no room for others is not kept."""
        data = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        if len(data) <= self._max_bytes * KEPT_SHARE:
            with self._lock:
                self._try(self._keep, key, data)

    def drop(self, key: bytes) -> None:
        """Forgets a key."""
        with self._lock:
            self._try(self._forget, key)

    def close(self) -> None:
        """Closes the file. From then on nothing is found and nothing kept."""
        with self._lock:
            database, self._database = self._database, None
            if database is not None:
                database.close()

    def _try(self, work: Any, *arguments: bytes) -> Any:
        """Does `work` on the database; None where there is none, or where it fails."""
        if self._database is None:
            return None
        try:
            return work(self._database, *arguments)
        except sqlite3.OperationalError as error:  # locked for too long, a full disk: the file is not to blame
            _log.warning("%s: %s", self.path, error)
        except sqlite3.Error as error:
            self._start_afresh(error)
        return None

    def _open(self) -> None:
        database = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            version = database.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, VERSION):
                raise sqlite3.DatabaseError(f"version {version} where {VERSION} is known")
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute(
                "CREATE TABLE IF NOT EXISTS results "
                "(key BLOB PRIMARY KEY, value BLOB, digest BLOB, used INTEGER) WITHOUT ROWID"
            )
            database.execute("CREATE INDEX IF NOT EXISTS by_use ON results (used)")
            database.execute(f"PRAGMA user_version = {VERSION}")
            database.execute("SELECT key, value, digest, used FROM results LIMIT 1").fetchone()
            self._num_bytes = _total(database)
        except BaseException:
            database.close()
            raise
        self._database = database

    def _start_afresh(self, error: sqlite3.Error) -> None:
        if self._database is not None:
            with suppress(sqlite3.Error):
                self._database.close()
            self._database = None
        aside = self.path.with_name(f"{self.path.name}.damaged")
        _log.warning("%s is not a usable cache (%s): it is now %s, and a new one begins", self.path, error, aside.name)
        try:
            os.replace(self.path, aside)
            for suffix in ("-wal", "-shm"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
            self._open()
        except (OSError, sqlite3.Error) as failure:
            _log.warning("%s: no cache can be begun (%s): nothing is kept", self.path, failure)

    def _find(self, database: sqlite3.Connection, key: bytes) -> Any:
        found = database.execute("SELECT value, digest FROM results WHERE key = ?", (key,)).fetchone()
        if found is not None:
            database.execute(f"UPDATE results SET used = {_LATEST} WHERE key = ?", (key,))
        return found

    def _keep(self, database: sqlite3.Connection, key: bytes, data: bytes) -> None:
        row = (key, data, _digest(key, data))
        database.execute(f"INSERT OR REPLACE INTO results VALUES (?, ?, ?, {_LATEST})", row)
        self._num_bytes += len(data)
        if self._num_bytes > self._max_bytes:
            self._make_room(database)

    def _make_room(self, database: sqlite3.Connection) -> None:
        self._num_bytes = _total(database)  # others may have added and forgotten
        if self._num_bytes <= self._max_bytes:
            return
        keys = []
        for key, size in database.execute("SELECT key, length(value) FROM results ORDER BY used"):
            keys.append((key,))
            self._num_bytes -= size
            if self._num_bytes <= self._max_bytes * KEPT_SHARE:
                break
        database.executemany("DELETE FROM results WHERE key = ?", keys)

    def _forget(self, database: sqlite3.Connection, key: bytes) -> None:
        database.execute("DELETE FROM results WHERE key = ?", (key,))


_LATEST = "(SELECT coalesce(max(used), 0) + 1 FROM results)"


def _total(database: sqlite3.Connection) -> int:
    return int(database.execute("SELECT coalesce(sum(length(value)), 0) FROM results").fetchone()[0])


def _digest(key: bytes, value: bytes) -> bytes:
    return hashlib.sha256(key + value).digest()
