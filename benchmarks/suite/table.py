"""Table: a comparison as text."""

from __future__ import annotations

from benchmarks.suite.comparison import Comparison
from benchmarks.suite.measurement import Measurement
from benchmarks.suite.workload import Workload

__all__ = ["closing", "head", "rows"]

_WIDTH = 14
BUSY = 0.2
"""Share of the processors in use by others from which seconds mean little."""
COLUMNS = ("seconds", "ratio", "cpu s", "prompt", "cached", "generated", "tok/s")
NOTES = (
    "ratio: seconds / those of our first side. cached: share of the prompt tokens that needed no computing. "
    "tok/s: generated. ≠: not as many tokens generated as by our first side."
)


def head() -> str:
    """Two lines above the rows."""
    return f"{NOTES}\n\n{'workload':<{_WIDTH}}{'side':<12}" + "".join(f"{name:>11}" for name in COLUMNS)


def rows(workload: Workload, comparison: Comparison) -> str:
    """A line for every side of one workload."""
    lines = []
    for place, (side, run) in enumerate(comparison.medians(workload.name).items()):
        name = workload.name if place == 0 else ""
        lines.append(f"{name:<{_WIDTH}}{side:<12}" + _cells(workload, side, run, comparison))
    return "\n".join(lines)


def _cells(workload: Workload, side: str, run: Measurement, comparison: Comparison) -> str:
    if run.error is not None:
        return f"{'FAILED':>11}  {run.error}"
    ratio = comparison.ratio(workload.name, side, comparison.ours[0]) if comparison.ours else None
    unequal = " ≠" if comparison.is_unequal(workload.name, side) else ""
    cells = (
        f"{run.seconds:.2f}",
        "" if ratio is None or side == comparison.ours[0] else f"{ratio:.2f}x",
        "" if run.cpu_seconds is None else f"{run.cpu_seconds:.1f}",
        str(run.prompt_tokens),
        f"{run.cached_rate:.1%}",
        f"{run.generated_tokens}{unequal}",
        f"{run.tokens_per_second:.1f}",
    )
    remark = f"  {run.remark}" if run.remark else ""
    return "".join(f"{cell:>11}" for cell in cells) + remark


def closing(comparison: Comparison) -> str:
    """Geometric means, who has failed in what, and whether others were at work meanwhile."""
    lines = []
    total = len(comparison.runs)
    for ours in comparison.ours if comparison.peers else ():
        for peer, (mean, count) in comparison.means(ours).items():
            said = "no workload in common" if mean is None else f"{mean:.2f}x, of {count} of {total} workloads"
            lines.append(f"geometric mean, {peer} / {ours}: {said}")
    for workload in comparison.runs:
        for side, run in comparison.medians(workload).items():
            if run.error is not None:
                lines.append(f"failed: {workload} on {side}: {run.error}")
    disturbed, count = comparison.num_disturbed(BUSY)
    if disturbed:
        lines.append(
            f"the machine was not quiet before {disturbed} of {count} runs: "
            "seconds mean little, and cpu s of servers that spin neither"
        )
    return "\n".join(lines)
