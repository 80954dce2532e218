"""Where a team keeps what its threads tell each other: byte offsets from its address, and from a turn's.

Threads write on cache lines of their own. A turn's memory is used again `TURNS` turns later.
"""

from __future__ import annotations

__all__ = [
    "ASLEEP",
    "COUNTERS",
    "FUNCTION",
    "JOB",
    "JOINED",
    "LINE",
    "MOST_PHASES",
    "MOST_THREADS",
    "ROOM",
    "SEMAPHORE",
    "STOPPED",
    "THREADS",
    "TURN",
    "TURNS",
    "TURN_BYTES",
    "size_of",
    "turns_at",
]

LINE = 64
MOST_THREADS = 256
MOST_PHASES = 1 << 12
TURNS = 8

THREADS, TURN, STOPPED = 0, LINE, 2 * LINE
_HEADER = 3 * LINE

_THREAD_BYTES = 3 * LINE
ASLEEP, JOINED, SEMAPHORE = _HEADER, _HEADER + LINE, _HEADER + 2 * LINE
"""Of thread 0; whether it sleeps, the turn it is in (0: none), what it sleeps on. The next thread's are `ROOM` on."""
ROOM = _THREAD_BYTES

FUNCTION, JOB, COUNTERS = 0, LINE, 16 * LINE
"""In a turn: the function; the job; for each phase how many of its parts are claimed, and how many are done."""
TURN_BYTES = COUNTERS + 16 * MOST_PHASES


def turns_at(threads: int) -> int:
    """Where the turns of a team of so many threads begin."""
    return _HEADER + threads * _THREAD_BYTES


def size_of(threads: int) -> int:
    """Bytes of a team of so many threads.

    Raises:
        ValueError: more than there is room for.
    """
    if not 1 <= threads <= MOST_THREADS:
        raise ValueError(f"threads={threads} is not allowed: 1 to {MOST_THREADS}")
    return turns_at(threads) + TURNS * TURN_BYTES
