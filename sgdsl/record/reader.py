"""Reader: a file of JSON lines as a record again."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from sgdsl.errors import InvalidArgument
from sgdsl.record.codec import decode
from sgdsl.record.entries import Entry, Header

__all__ = ["Record", "read"]


@dataclass(frozen=True, slots=True)
class Record:
    """The entries of a record.

    Attributes:
        cut_off_at: the line that its writer did not finish; None where the last line is whole.
    """

    entries: tuple[Entry, ...]
    cut_off_at: int | None = None

    @property
    def header(self) -> Header:
        """The first entry."""
        first = self.entries[0]
        if not isinstance(first, Header):
            raise InvalidArgument("a record begins with its header")
        return first


def read(path: str | os.PathLike[str]) -> Record:
    """Reads a record; one that was cut off is read up to there.

    Raises:
        InvalidArgument: a line is no entry, naming it, or the version is unknown.
        OSError: the file cannot be read.
    """
    lines = Path(path).read_bytes().split(b"\n")
    rest = lines.pop()
    entries: list[Entry] = []
    for number, line in enumerate(lines, start=1):
        entries.append(_entry(path, number, line))
    cut_off_at = None
    if rest:
        try:
            entries.append(_entry(path, len(lines) + 1, rest))
        except InvalidArgument:
            if not entries:
                raise
            cut_off_at = len(lines) + 1
    if not entries:
        raise InvalidArgument(f"{path}: line 1: the file is empty, a record begins with its header")
    return Record(tuple(entries), cut_off_at)


def _entry(path: str | os.PathLike[str], number: int, line: bytes) -> Entry:
    try:
        entry = decode(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"{path}: line {number}: not UTF-8") from error
    except InvalidArgument as error:
        raise InvalidArgument(f"{path}: line {number}: {error}") from error
    if isinstance(entry, Header) != (number == 1):
        what = "a record begins with its header" if number == 1 else "a second header"
        raise InvalidArgument(f"{path}: line {number}: {what}")
    return entry
