"""Picture: a rise in four small charts over concurrency. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sgdsl.cli.tuning.rise import Level

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw"]

INK, MUTED, LINE, BAND = "#24292f", "#6e7781", "#1f6f8b", "#c9dfe7"
MARK = "#b35900"


def draw(levels: Sequence[Level], recommended: Level, title: Sequence[str], pool: int, path: Path) -> None:
    """Writes the picture as PNG.

    Args:
        recommended: the level that is marked.
        title: what was measured, and under what load: a line each.
        pool: the KV pool's tokens.

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
    (throughput, kv), (queue, first) = figure.subplots(2, 2, sharex=True)
    _chart(throughput, levels, "Throughput", "tokens/s", [level.tokens_per_second for level in levels])
    _chart(kv, levels, "KV pool in use at most", f"% of {pool:,} tokens", [100 * level.kv_use for level in levels])
    _spread(queue, levels, "Time in the queue", [level.queue_seconds for level in levels])
    _spread(first, levels, "Time to the first token", [level.first_token_seconds for level in levels])
    for axes in (throughput, kv, queue, first):
        axes.axvline(recommended.concurrency, color=MARK, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    is_left = recommended.concurrency**2 <= levels[-1].concurrency  # of the middle, on this scale
    throughput.annotate(
        f"recommended: {recommended.concurrency}", (recommended.concurrency, 0), xytext=(6 if is_left else -6, 6),
        ha="left" if is_left else "right", textcoords="offset points", color=MARK, fontsize=9,
    )  # fmt: skip
    for axes in (queue, first):
        axes.set_xlabel("requests at once", color=MUTED, fontsize=9)
    figure.savefig(path, dpi=140)


def _chart(axes: Axes, levels: Sequence[Level], title: str, unit: str, values: Sequence[float]) -> None:
    """One line from zero up, every level a dot."""
    places = [level.concurrency for level in levels]
    axes.plot(places, values, color=LINE, linewidth=1.8, marker="o", markersize=4, zorder=3, clip_on=False)
    axes.set_title(f"{title}  ", loc="left", fontsize=10, color=INK)
    axes.set_title(unit, loc="right", fontsize=9, color=MUTED)
    axes.set_xscale("log", base=2)
    axes.set_xticks(places, [str(place) for place in places])
    axes.minorticks_off()
    axes.set_ylim(bottom=0, top=1.1 * max([0.0, *(value for value in values if value > 0)]) or 1)
    axes.margins(x=0.06)
    axes.grid(axis="y", color="#e6e9ec", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=MUTED, labelsize=9, length=0, pad=6)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color("#c8ccd1")


def _spread(axes: Any, levels: Sequence[Level], title: str, values: Sequence[tuple[float, float]]) -> None:
    """The median as a line, and from there to the 90 % quantile a band."""
    medians, highs = [median for median, _ in values], [high for _, high in values]
    axes.fill_between([level.concurrency for level in levels], medians, highs, color=BAND, linewidth=0, zorder=2)
    _chart(axes, levels, title, "seconds, median to 90 % quantile", medians)
    finite = [high for high in highs if high == high]
    axes.set_ylim(bottom=0, top=1.1 * max([*finite, 0.01]))
    if not finite:
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color=MUTED, fontsize=9)
