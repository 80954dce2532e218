"""The working memory of one kernel call: one int32 array, divided by these offsets."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["new_scratch"]

MAX_THREADS = 1024
"""Threads one byte may lead to, and threads a matcher may be in."""
MAX_TOKEN = 1024
"""Longest token laid out, in bytes."""
MAX_CELLS = 32_768
MAX_WORK = 8_192
MAX_MISSES = 128

MAX_HITS = 2_048

CELLS_USED, MISSES_USED, OVERFLOW, HIT, HITS_USED, DEEPEST, STRICT = range(7)
"""Counters at the beginning. OVERFLOW is set where one of the limits was met and something left out, HIT where a
capturing frame was. DEEPEST: bytes that the longest way inside a lexeme reads. STRICT: where threads are to be kept,
so that capturing frames have to be replaced and their jumps, which leave that out, do not serve."""
OUT = 8
"""[state, register, cell] of the threads after a byte."""
LIST = OUT + 3 * MAX_THREADS
NEXT = LIST + 3 * MAX_THREADS
PENDING = NEXT + 3 * MAX_THREADS
"""[move or -1, state, register, cell] still to be done within one byte."""
MISSES = PENDING + 4 * MAX_THREADS
"""[what, label]: a state not expanded (label -1), a frame's jump that is not known, or a counted state's cache (-2)."""
MARKS = MISSES + 2 * MAX_MISSES
"""By byte, whether it is worth trying."""
PATH = MARKS + 256
"""[state, register, cell] by depth in the trie."""
WORK = PATH + 3 * (MAX_TOKEN + 2)
"""[node, state, register, cell]: subtrees still to be walked."""
CELLS = WORK + 4 * MAX_WORK
"""[frame, cell below] of cell -1, -2 …"""
HITS = CELLS + 2 * (MAX_CELLS + 1)
"""Trie nodes at whose byte a capturing frame was met."""
SCRATCH_SIZE = HITS + MAX_HITS


def new_scratch() -> npt.NDArray[np.int32]:
    """Working memory for one call at a time."""
    return np.zeros(SCRATCH_SIZE, np.int32)
