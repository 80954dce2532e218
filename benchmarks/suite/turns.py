"""Turns: every workload on every side, one after another, so that only the one who is measured is at work."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import psutil

from benchmarks.suite.comparison import Comparison
from benchmarks.suite.measurement import measure
from benchmarks.suite.side import Side
from benchmarks.suite.size import SIZES, Size
from benchmarks.suite.source import Source
from benchmarks.suite.workload import Workload

__all__ = ["take_turns"]

QUIET_LOAD = 20
"""Percent of all processors below which nobody works on what was given up."""


def take_turns(
    workloads: Sequence[Workload],
    sides: Sequence[Side],
    source: Source,
    size: Size,
    *,
    salt: str,
    repeat: int,
    timeout: float,
    quiet_seconds: float = 60.0,
    on_end: Callable[[Workload, Comparison], None] = lambda workload, comparison: None,
) -> Comparison:
    """Measures everything.

    Each side first runs the workload once in small; then the sides are measured in turn, as often as is asked for. A
    side that has failed is not asked again for the same workload.

    Args:
        salt: differs between calls, so that no server still holds what an earlier one has left.
        timeout: seconds for each program.
        quiet_seconds: how long a side that was given up may go on working before the next one begins.
        on_end: is told of each workload when it has been measured.
    """
    comparison = Comparison(tuple(side.name for side in sides), tuple(side.name for side in sides if side.is_ours))
    for workload in workloads:
        rounds = [(SIZES["small"], f"{salt}-warm"), *((size, f"{salt}-{turn}") for turn in range(repeat))]
        left = list(sides)
        for number, (amount, salted) in enumerate(rounds):
            items = workload.items(source, amount, salted)
            for side in tuple(left):
                run = measure(workload, items, side, timeout)
                if run.error is not None:
                    left.remove(side)
                    _wait_until_quiet(quiet_seconds)
                if number or run.error is not None:
                    comparison.add(workload.name, side.name, run)
        on_end(workload, comparison)
    return comparison


def _wait_until_quiet(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and psutil.cpu_percent(interval=0.5) > QUIET_LOAD:
        continue
