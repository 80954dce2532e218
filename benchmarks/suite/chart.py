"""Chart: a comparison as bars. Needs matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.suite.comparison import Comparison
from benchmarks.suite.measurement import Measurement

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw"]

INK, MUTED = "#24292f", "#6e7781"
COLOURS = ("#1f6f8b", "#7fb3c4", "#b35900", "#d9a066", "#6b705c", "#a5a58d")
BAR = 0.26
"""Inches of one bar's height."""


def draw(comparison: Comparison, title: str, path: Path) -> None:
    """Writes the chart as PNG: seconds of every side for each workload, and how many times as long as ours they are.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    num_bars = sum(len(sides) + 1 for sides in comparison.runs.values())
    figure = Figure(figsize=(9.6, 1.4 + BAR * num_bars), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    longest = max((run.seconds for name in comparison.runs for run in comparison.medians(name).values()), default=1.0)
    place, ticks = 0.0, []
    for workload in comparison.runs:
        found = comparison.medians(workload)
        ticks.append(place + (len(found) - 1) / 2)
        for side, run in found.items():
            _bar(axes, comparison, workload, side, run, place)
            place += 1
        place += 1
    axes.set_yticks(ticks, list(comparison.runs))
    axes.set_ylim(place - 1, -1)
    axes.set_xlim(0, 1.2 * longest or 1)
    _frame(axes, title)
    _legend(axes, comparison)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=140)


def _colour(comparison: Comparison, side: str) -> str:
    return COLOURS[comparison.sides.index(side) % len(COLOURS)]


def _bar(axes: Axes, comparison: Comparison, workload: str, side: str, run: Measurement, place: float) -> None:
    axes.barh(place, run.seconds, height=0.86, color=_colour(comparison, side), zorder=2)
    axes.annotate(
        _label(comparison, workload, side, run), (run.seconds, place), xytext=(5, 0), textcoords="offset points",
        va="center", fontsize=8, color=INK,
    )  # fmt: skip


def _label(comparison: Comparison, workload: str, side: str, run: Measurement) -> str:
    if run.error is not None:
        return f"{side} failed"
    ratio = comparison.ratio(workload, side, comparison.ours[0]) if comparison.ours else None
    times = "" if ratio is None or side in comparison.ours else f"  ({ratio:.2f}×)"
    unequal = "  ≠" if comparison.is_unequal(workload, side) else ""
    return f"{run.seconds:.1f}{times}{unequal}"


def _legend(axes: Axes, comparison: Comparison) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=_colour(comparison, side), label=side) for side in comparison.sides]
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=9)


def _frame(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=10, color=INK, linespacing=1.5)
    axes.set_xlabel("seconds, less is better; in brackets how many times ours", color=MUTED, fontsize=9)
    axes.grid(axis="x", color="#e6e9ec", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=MUTED, labelsize=9, length=0, pad=6)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color("#c8ccd1")
