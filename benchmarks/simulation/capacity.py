"""Capacity: how many programs a second a contender sustains."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

from benchmarks.simulation.outcome import Outcome
from benchmarks.simulation.programs import generate
from benchmarks.simulation.trace import Program

__all__ = ["SAMPLE", "capacity"]

SAMPLE = 600
"""Programs to measure with; fewer are too few, more hardly change what is found."""

FIRST = 0.125
ROUNDS = 6
MANY = 1 << 40


def capacity(name: str, seed: int, run: Callable[[Iterable[Program], float], Outcome]) -> float:
    """The highest rate of arrival at which less than a second of steps comes in a second.

    How long the steps of a program take depends on the rate itself: at higher ones batches are larger, and more of what
    was cached is gone when it is wanted. Found by halving the interval, on programs of the same kinds.

    Args:
        name: of the trace, out of `benchmarks.simulation.programs.TRACES`.
        run: runs programs that arrive at a rate, under the contender in question.
    """

    def sustains(rate: float) -> bool:
        return run(islice(generate(MANY, seed, name), SAMPLE), rate).busy < SAMPLE / rate

    low, high = 0.0, FIRST
    while sustains(high):
        low, high = high, 2 * high
    for _ in range(ROUNDS):
        rate = (low + high) / 2
        low, high = (rate, high) if sustains(rate) else (low, rate)
    return low
