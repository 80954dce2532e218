"""The capacity of a policy: how many programs a second it sustains."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.simulation.outcome import Outcome
from benchmarks.simulation.trace import Program

__all__ = ["capacity"]

MOST_PROGRAMS = 600
ROUNDS = 8


def capacity(programs: Sequence[Program], run: Callable[[Sequence[Program], float], Outcome]) -> float:
    """The highest rate of arrival at which less than a second of steps comes in a second.

    How long the steps of a program take depends on the rate itself: at higher ones batches are larger, and more of what
    was cached is gone when it is wanted. Found by halving the interval, on the first programs of the trace.

    Args:
        run: runs programs that arrive at a rate, under the policy in question.
    """
    sample = programs[:MOST_PROGRAMS]
    low, high = 0.0, 1.0
    while run(sample, high).busy < len(sample) / high:
        low, high = high, 2 * high
    for _ in range(ROUNDS):
        rate = (low + high) / 2
        low, high = (rate, high) if run(sample, rate).busy < len(sample) / rate else (low, rate)
    return low
