"""Chart: rates, the parts of a step, and its growth, in one picture. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.report import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw"]

OURS, THEIRS = "#1f6f8b", "#c9a27c"
LEAST_SHARE = 0.01


def draw(rows: Sequence[Row], more: Mapping[str, Any], described: Mapping[str, str], path: Path) -> None:
    """Writes the picture as PNG.

    Args:
        rows: of the report. more: what it was saved with. described: what was measured.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 8), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    note = "PROVISIONAL: others used the machine; " if more.get("provisional") else ""
    figure.suptitle(note + ", ".join(f"{key} {value}" for key, value in described.items()), fontsize=10)
    (rates, parts), (batch, context) = figure.subplots(2, 2)
    _rates(rates, [row for row in rows if row.peer is not None and row.what.endswith("tok/s")])
    _parts(parts, more.get("profiles", ()))
    for axes, line in zip((batch, context), more.get("growth", ()), strict=False):
        _line(axes, line)
    figure.savefig(path, dpi=130)


def _rates(axes: Axes, rows: Sequence[Row]) -> None:
    places = range(len(rows))
    axes.barh([place - 0.2 for place in places], [row.ours for row in rows], 0.4, color=OURS, label="sgdsl")
    axes.barh([place + 0.2 for place in places], [row.peer or 0 for row in rows], 0.4, color=THEIRS, label="llama.cpp")
    axes.set_yticks(list(places), [row.what.removesuffix(", tok/s") for row in rows], fontsize=8)
    axes.invert_yaxis()
    axes.set_title("tokens a second", fontsize=10)
    if rows:
        axes.legend(fontsize=8, frameon=False)


def _parts(axes: Axes, profiles: Sequence[Mapping[str, Any]]) -> None:
    for place, one in enumerate(profiles):
        parts = {**one["kernels"], **one["around"]}
        whole, left = sum(parts.values()), 0.0
        for number, (name, ms) in enumerate(parts.items()):
            share = ms / whole
            axes.barh(place, share, left=left, color=f"C{number % 10}", edgecolor="white", linewidth=0.5)
            if share > 5 * LEAST_SHARE:
                axes.text(left + share / 2, place, name, rotation=90, ha="center", va="center", fontsize=7)
            left += share
    axes.set_yticks(range(len(profiles)), [f"batch {one['batch']}\n{one['ms']:.1f} ms" for one in profiles], fontsize=8)
    axes.set_title("share of a step", fontsize=10)


def _line(axes: Axes, line: Mapping[str, Any]) -> None:
    ends = [min(line["places"]), max(line["places"])]
    axes.plot(line["places"], line["ms"], "o", color=OURS, markersize=4)
    axes.plot(ends, [line["intercept"] + line["slope"] * end for end in ends], color=THEIRS)
    axes.set_title(f"ms a step against {line['what']}, R² {line['r2']:.4f}", fontsize=10)
    axes.set_ylim(bottom=0)
