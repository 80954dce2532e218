"""Picture: measured loads in four charts, one run or several together. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from sgdsl.cli.bench.figures import Slo
from sgdsl.cli.bench.result import Result, Spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw"]

INK, MUTED, LINE, BAND = "#24292f", "#6e7781", "#1f6f8b", "#c9dfe7"
MARK = "#b35900"
LINES = ((LINE, "-"), ("#c2364f", (0, (5, 1.5))), ("#6b4e9b", (0, (1.5, 1.2))), ("#4d7c0f", (0, (6, 1.5, 1.5, 1.5))))
"""Colours and dashes of runs, this one's first."""
LEGEND_LINE = 0.085
"""Of the height of a chart."""
PLATE = MappingProxyType({"facecolor": "white", "edgecolor": "none", "pad": 1})
"""Behind what is written over lines."""


def draw(results: Sequence[Result], slo: Slo, title: Sequence[str], path: Path) -> None:
    """Writes the picture as PNG: tokens a second over time, and how latencies are spread.

    Args:
        results: of this run, and of those it is compared with.
        title: what was measured, a line each.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.16, h_pad=0.14, wspace=0.04, hspace=0.04)
    figure = Figure(figsize=(9.6, 6.6), layout=layout, facecolor="white")
    FigureCanvasAgg(figure)
    figure.suptitle("\n".join(title), x=0.02, ha="left", fontsize=11, color=INK, linespacing=1.5)
    (throughput, first), (between, whole) = figure.subplots(2, 2)
    _over_time(throughput, results)
    _spread(
        first, "Time to the first token", slo.first_seconds,
        [(one.label, one.curves.first_token_seconds, one.first_token_seconds) for one in results],
    )  # fmt: skip
    _spread(
        between, "Time per token, request by request", slo.token_seconds,
        [(one.label, one.curves.per_token_seconds, one.per_token_seconds) for one in results],
    )  # fmt: skip
    _spread(
        whole, "Time of a request", None,
        [(one.label, one.curves.request_seconds, one.request_seconds) for one in results],
    )  # fmt: skip
    figure.savefig(path, dpi=140)


def _over_time(axes: Axes, results: Sequence[Result]) -> None:
    highest = 0.0
    for place, one in enumerate(results):
        colour, dashes = LINES[place % len(LINES)]
        curve = one.curves.throughput
        if place == 0:
            axes.fill_between(curve.seconds, curve.tokens_per_second, color=BAND, linewidth=0, zorder=2)
        label = f"{one.label}: {one.new_tokens_per_second:.1f} tokens/s"
        axes.plot(
            curve.seconds, curve.tokens_per_second, color=colour, linestyle=dashes, linewidth=1.4, zorder=3, label=label
        )
        highest = max(highest, *curve.tokens_per_second, 0.0)
    _frame(axes, "Throughput", "tokens/s")
    axes.set_ylim(0, 1.1 * highest or 1)
    axes.set_xlim(left=0)
    axes.set_xlabel("seconds since the first request", color=MUTED, fontsize=9)
    _legend(axes, len(results))


def _spread(
    axes: Axes, title: str, limit: float | None, runs: Sequence[tuple[str, Sequence[float], Spread | None]]
) -> None:
    """The share of requests that took at most so long, with the limit on it."""
    _frame(axes, title, "% of requests")
    axes.set_xlabel("milliseconds", color=MUTED, fontsize=9)
    axes.set_ylim(0, 104)
    highest = 0.0 if limit is None else 1000 * limit
    for place, (label, values, spread) in enumerate(runs):
        if spread is None or not values:
            continue
        colour, dashes = LINES[place % len(LINES)]
        known = [1000 * value for value in values]
        shares = [100 * step / (len(known) - 1) for step in range(len(known))]
        marks = [(0.5, 1000 * spread.p50), (0.9, 1000 * spread.p90), (0.99, 1000 * spread.p99)]
        said = f"{label}: p50 {_number(marks[0][1])}, p99 {_number(marks[2][1])}"
        axes.step(known, shares, where="post", color=colour, linestyle=dashes, linewidth=1.8, zorder=3, label=said)
        highest = max(highest, known[-1])
        for share, value in marks:
            axes.plot([value], [100 * share], color=colour, marker="o", markersize=4, zorder=4)
            if len(runs) == 1:
                _note(axes, f"p{100 * share:.0f}  {_number(value)}", (value, 100 * share), (7, -11), INK)
    if highest:
        axes.set_xlim(0, 1.18 * highest)
    if limit is not None:
        axes.plot([1000 * limit] * 2, [0, 100], color=MARK, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        _note(axes, f"limit {1000 * limit:g}", (1000 * limit, 0), (5, 5), MARK)
    _legend(axes, len(runs))


def _legend(axes: Axes, num_runs: int) -> None:
    """Which line is whose, in a room of its own above them all."""
    if num_runs == 1:
        return
    ticks, (low, high) = axes.get_yticks(), axes.get_ylim()
    axes.set_ylim(low, high * (1.06 + LEGEND_LINE * num_runs))
    axes.set_yticks([tick for tick in ticks if low <= tick <= high])
    axes.legend(
        loc="upper left", borderaxespad=0, fontsize=8, frameon=False, labelcolor=INK, handlelength=2.8, labelspacing=0.4
    )


def _number(value: float) -> str:
    return f"{value:,.{0 if value >= 100 else 1}f}"


def _note(axes: Axes, text: str, place: tuple[float, float], offset: tuple[float, float], colour: str) -> None:
    axes.annotate(
        text, place, xytext=offset, textcoords="offset points", color=colour, fontsize=8, annotation_clip=False,
        bbox=dict(PLATE), zorder=5,
    )  # fmt: skip


def _frame(axes: Axes, title: str, unit: str) -> None:
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    axes.set_title(f"{title}  ", loc="left", fontsize=10, color=INK)
    axes.set_title(unit, loc="right", fontsize=9, color=MUTED)
    axes.grid(axis="y", color="#e6e9ec", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.10g}"))
    axes.tick_params(colors=MUTED, labelsize=9, length=0, pad=6)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color("#c8ccd1")
