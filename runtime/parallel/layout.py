"""Where a team keeps what its threads tell each other: byte offsets, each value on a cache line of its own."""

from __future__ import annotations

__all__ = [
    "ARRIVED",
    "FUNCTION",
    "HEADER",
    "JOB",
    "LINE",
    "ROUND",
    "SEMAPHORES",
    "SLEEPING",
    "STOPPED",
    "THREADS",
    "TURN",
    "size_of",
]

LINE = 64
THREADS, TURN, FUNCTION, JOB, ARRIVED, ROUND, STOPPED = range(0, 7 * LINE, LINE)
HEADER = 8 * LINE
MOST_THREADS = 256
SLEEPING = HEADER
"""Whether thread i sleeps: at SLEEPING + i * LINE."""
SEMAPHORES = HEADER + MOST_THREADS * LINE
"""What thread i sleeps on."""


def size_of(threads: int) -> int:
    """Bytes of a team of so many threads.

    Raises:
        ValueError: more than there is room for.
    """
    if not 1 <= threads <= MOST_THREADS:
        raise ValueError(f"threads={threads} is not allowed: 1 to {MOST_THREADS}")
    return SEMAPHORES + threads * LINE
