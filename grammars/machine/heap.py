"""A growing run of int32 in which all records of a machine lie."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from grammars.errors import GrammarLimit
from grammars.machine.layout import STATE_SIZE

__all__ = ["Heap"]

MAX_INTS = 2**27
"""Addresses stand in moves above three bits of kind."""
ROOM = 1024
"""Free to begin with."""


class Heap:
    """Records are put behind one another and never moved or freed; address 0 is none of them.

    Growing replaces `data`, so readers of the old array go on reading what was there when they began.

    Args:
        max_bytes: GrammarLimit beyond.
        begun: whose records it begins with, under the same addresses.
    """

    def __init__(self, max_bytes: int, begun: Heap | None = None) -> None:
        self.data: npt.NDArray[np.int32] = np.zeros(ROOM + (0 if begun is None else begun.used), np.int32)
        self.held = (self.data, self.data.ctypes.data)
        """`data` and where it lies in memory, replaced together: whoever keeps the first may use the second."""
        self.used: int = STATE_SIZE if begun is None else begun.used
        if begun is not None:
            self.data[: self.used] = begun.data[: self.used]
        self._max_ints = min(MAX_INTS, max_bytes // 4)

    @property
    def num_bytes(self) -> int:
        """Memory taken."""
        return self.data.nbytes

    def reserve(self, count: int) -> int:
        """The address of `count` fresh zeros."""
        address = self.used
        self.used += count
        if self.used > len(self.data):
            self._grow()
        return address

    def put(self, values: Sequence[int] | npt.NDArray[np.int32]) -> int:
        """The address of a record with these values."""
        address = self.reserve(len(values))
        self.data[address : address + len(values)] = values
        return address

    def _grow(self) -> None:
        if self.used > self._max_ints:
            raise GrammarLimit(f"grammar: its tables take more than {self._max_ints * 4} bytes")
        grown = np.zeros(max(self.used, min(2 * len(self.data), self._max_ints)), np.int32)
        grown[: len(self.data)] = self.data
        self.held = (grown, grown.ctypes.data)
        self.data = grown
