"""The report: rows of (what, ours, peer, ratio, goal) as a table and as JSON."""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

__all__ = ["Report", "Row"]


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        what: the workload and the unit.
        ours: our figure.
        peer: the peer's, in the same unit; None where nothing is compared.
        ratio: how many times better ours is; None where nothing is compared.
        goal: what it should reach, in words.
        met: whether it does; None for figures without a goal.
    """

    what: str
    ours: float
    peer: float | None = None
    ratio: float | None = None
    goal: str = ""
    met: bool | None = None


class Report:
    """Collects rows, printing each as it comes.

    Args:
        described: what is measured, and where.
        peer: the head of the column of what it is compared with.
    """

    def __init__(self, described: dict[str, str], peer: str = "transformers") -> None:
        self._described = described
        self._rows: list[Row] = []
        print(", ".join(f"{key} {value}" for key, value in described.items()))
        print(f"\n{'':<58}{'sgdsl':>10}{peer:>14}{'ratio':>8}  goal")

    def add(self, row: Row) -> None:
        """Adds a row."""
        self._rows.append(row)
        peer = "" if row.peer is None else f"{row.peer:.4g}"
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        verdict = "" if row.met is None else ("  reached" if row.met else "  MISSED")
        print(f"{row.what:<58}{row.ours:>10.4g}{peer:>14}{ratio:>8}  {row.goal}{verdict}", flush=True)

    def faster(self, what: str, pairs: Sequence[tuple[float, float]], at_least: float) -> None:
        """A row where more is better: (ours, peer's) of several turns, each of which shares the machine's mood.

        The ratio is the median of the turns' ratios, the figures are the medians of either side.
        """
        ours, peer = (statistics.median(side) for side in zip(*pairs, strict=True))
        ratio = statistics.median(mine / theirs for mine, theirs in pairs)
        self.add(Row(what, ours, peer, ratio, f">= {at_least}x", ratio >= at_least))

    def shorter(self, what: str, ours: float, peer: float, at_least: float | None = None) -> None:
        """A row of seconds, where less is better, against a peer."""
        ratio = peer / ours
        goal = f">= {at_least}x" if at_least else ""
        self.add(Row(what, ours, peer, ratio, goal, None if at_least is None else ratio >= at_least))

    def below(self, what: str, ours: float, limit: float) -> None:
        """A row that has to stay below a limit."""
        self.add(Row(what, ours, goal=f"<= {limit:g}", met=ours <= limit))

    def above(self, what: str, ours: float, limit: float) -> None:
        """A row that has to reach a limit."""
        self.add(Row(what, ours, goal=f">= {limit:g}", met=ours >= limit))

    @property
    def rows(self) -> tuple[Row, ...]:
        """Those so far."""
        return tuple(self._rows)

    def save(self, path: Path, more: Mapping[str, Any] = MappingProxyType({})) -> None:
        """Writes everything as JSON, and `more` beside it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        machine = {"machine": platform.machine(), "system": platform.platform(), "python": platform.python_version()}
        content = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            **machine,
            "engine": self._described,
            "rows": [asdict(row) for row in self._rows],
            **more,
        }
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        print(f"\nwritten to {path}")
