"""Sink: where the entries of a record go: a list in memory, or a file of JSON lines."""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from sgdsl.errors import InvalidArgument
from sgdsl.record.entries import Ended, Entry, Failed, Header, RunBegun, RunEnded

__all__ = ["RecordFile", "Recorder", "Sink", "sink_of"]

_log = logging.getLogger("sgdsl.record")


class Sink(ABC):
    """Takes entries, from any thread, of any number of runs, and keeps their clock."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._runs = itertools.count(1)
        self.header = Header(started_at=datetime.now(UTC).isoformat(timespec="milliseconds"))

    def now(self) -> float:
        """Seconds since the record began, to the microsecond."""
        return round(time.monotonic() - self._begun, 6)

    def next_run(self) -> int:
        """The number of one more run."""
        return next(self._runs)

    @abstractmethod
    def write(self, entry: Entry) -> None:
        """One more entry. Never raises: a record that cannot be kept is no reason to fail a program."""

    def around(self, run: int) -> AbstractContextManager[None]:
        """What holds while a run's program executes, or opens sessions."""
        return nullcontext()

    @abstractmethod
    def acquire(self) -> None:
        """A run begins that writes here."""

    @abstractmethod
    def release(self) -> None:
        """A run that wrote here has ended."""


class Recorder(Sink):
    """A record in memory: give it to any number of runs, `program.run(…, record=recorder)`.

    Attributes:
        entries: so far, in the order in which things happened.
    """

    def __init__(self) -> None:
        super().__init__()
        self.entries: list[Entry] = [self.header]

    def write(self, entry: Entry) -> None:
        """One more entry."""
        self.entries.append(entry)

    def acquire(self) -> None:
        """Nothing is to be opened."""

    def release(self) -> None:
        """Nothing is to be closed."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the record so far to a file of JSON lines.

        Raises:
            OSError: it cannot be written.
        """
        from sgdsl.record.codec import encode

        lines = [encode(entry) + "\n" for entry in list(self.entries)]
        Path(path).write_text("".join(lines), encoding="utf-8")

    def __repr__(self) -> str:
        return f"<recorder of {len(self.entries)} entries>"


class RecordFile(Sink):
    """A record that is written as things happen; at the end of each step the file is up to date.

    The file is open while runs write to it.

    Args:
        path: of the file, which is begun anew.

    Raises:
        InvalidArgument: it cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__()
        self._path = Path(path)
        self._file: TextIO | None = None
        self._num_users = 0
        self._lock = threading.Lock()
        try:
            with self._path.open("w", encoding="utf-8") as file:
                self._put(file, self.header)
        except OSError as error:
            raise InvalidArgument(f"record={str(path)!r} cannot be written: {error.strerror}") from error

    def write(self, entry: Entry) -> None:
        """One more line."""
        with self._lock:
            if self._file is None:
                return
            try:
                self._put(self._file, entry)
                if isinstance(entry, Ended | Failed | RunBegun | RunEnded):
                    self._file.flush()
            except (OSError, ValueError) as error:
                self._give_up(error)

    @staticmethod
    def _put(file: TextIO, entry: Entry) -> None:
        from sgdsl.record.codec import encode

        file.write(encode(entry) + "\n")

    def _give_up(self, error: Exception) -> None:
        _log.error("the record %s ends here, it cannot be written: %s", self._path, error)
        self._close()

    def acquire(self) -> None:
        """Opens the file, unless another run has."""
        with self._lock:
            self._num_users += 1
            if self._num_users == 1:
                try:
                    self._file = self._path.open("a", encoding="utf-8")
                except OSError as error:
                    self._give_up(error)

    def release(self) -> None:
        """Closes the file, unless another run is writing."""
        with self._lock:
            self._num_users -= 1
            if self._num_users == 0:
                self._close()

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError as error:
                _log.error("the record %s is not whole: %s", self._path, error)


def sink_of(record: object) -> Sink | None:
    """What `record=` stands for: a path, a `Recorder`, or None.

    Raises:
        InvalidArgument: it is none of them, or the file cannot be written.
    """
    if record is None or isinstance(record, Sink):
        return record
    if isinstance(record, str | os.PathLike):
        return RecordFile(record)
    raise InvalidArgument(f"record={record!r} is not allowed: a path or an sgdsl.Recorder")
