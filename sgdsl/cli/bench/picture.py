"""Picture: a measured load in four charts. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from sgdsl.cli.bench.figures import Slo, quantile
from sgdsl.cli.bench.sample import Sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw", "tokens_by_time"]

INK, MUTED, LINE, BAND = "#24292f", "#6e7781", "#1f6f8b", "#c9dfe7"
MARK = "#b35900"
PLATE = MappingProxyType({"facecolor": "white", "edgecolor": "none", "pad": 1})
"""Behind what is written over lines."""
NUM_BINS = 60


def draw(samples: Sequence[Sample], slo: Slo, title: Sequence[str], path: Path) -> None:
    """Writes the picture as PNG: tokens a second over time, and how latencies are spread.

    Args:
        samples: finished and failed ones.
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
    good = [sample for sample in samples if sample.error is None]
    _over_time(throughput, good)
    _spread(first, "Time to the first token", [one.first_seconds for one in good], slo.first_seconds)
    _spread(between, "Time per token, request by request", [one.token_seconds for one in good], slo.token_seconds)
    _spread(whole, "Time of a request", [one.ended - one.began for one in good], None)
    figure.savefig(path, dpi=140)


def tokens_by_time(samples: Sequence[Sample], num_bins: int) -> tuple[list[float], list[float]]:
    """Middles of equal spans since the first request began, in seconds, and the tokens a second in each.

    A request's tokens are spread evenly over its pieces.
    """
    if not any(sample.arrivals for sample in samples):
        return [], []
    begin = min(sample.began for sample in samples)
    width = max(max(sample.arrivals[-1] for sample in samples if sample.arrivals) - begin, 1e-9) / num_bins
    counts = [0.0] * num_bins
    for sample in samples:
        for arrival in sample.arrivals:
            counts[min(int((arrival - begin) / width), num_bins - 1)] += sample.num_new / len(sample.arrivals)
    return [(place + 0.5) * width for place in range(num_bins)], [count / width for count in counts]


def _over_time(axes: Axes, samples: Sequence[Sample]) -> None:
    places, rates = tokens_by_time(samples, NUM_BINS)
    axes.fill_between(places, rates, color=BAND, linewidth=0, zorder=2)
    axes.plot(places, rates, color=LINE, linewidth=1.4, zorder=3)
    _frame(axes, "Throughput", "tokens/s")
    axes.set_ylim(0, 1.1 * max(rates, default=1.0) or 1)
    axes.set_xlim(left=0)
    axes.set_xlabel("seconds since the first request", color=MUTED, fontsize=9)


def _spread(axes: Axes, title: str, values: Sequence[float | None], limit: float | None) -> None:
    """The share of requests that took at most so long, with the limit on it."""
    known = sorted(1000 * value for value in values if value is not None)
    _frame(axes, title, "% of requests")
    axes.set_xlabel("milliseconds", color=MUTED, fontsize=9)
    axes.set_ylim(0, 104)
    if not known:
        return
    shares = [100 * (place + 1) / len(known) for place in range(len(known))]
    axes.step([known[0], *known], [0, *shares], where="post", color=LINE, linewidth=1.8, zorder=3)
    for share in (0.5, 0.9, 0.99):
        value = quantile(known, share)
        axes.plot([value], [100 * share], color=LINE, marker="o", markersize=4, zorder=4)
        axes.annotate(
            f"p{100 * share:.0f}  {value:,.{0 if value >= 100 else 1}f}", (value, 100 * share), xytext=(7, -11),
            textcoords="offset points", color=INK, fontsize=8, annotation_clip=False, bbox=dict(PLATE), zorder=5,
        )  # fmt: skip
    high = max(known[-1], 0.0 if limit is None else 1000 * limit)
    axes.set_xlim(0, 1.18 * high or 1)
    if limit is not None:
        axes.axvline(1000 * limit, color=MARK, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        axes.annotate(
            f"limit {1000 * limit:g}", (1000 * limit, 0), xytext=(5, 5), textcoords="offset points", color=MARK,
            fontsize=8, bbox=dict(PLATE), zorder=5,
        )  # fmt: skip


def _frame(axes: Axes, title: str, unit: str) -> None:
    axes.set_title(f"{title}  ", loc="left", fontsize=10, color=INK)
    axes.set_title(unit, loc="right", fontsize=9, color=MUTED)
    axes.grid(axis="y", color="#e6e9ec", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=MUTED, labelsize=9, length=0, pad=6)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color("#c8ccd1")
