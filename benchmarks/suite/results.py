"""Results: a comparison as a file."""

from __future__ import annotations

import json
import os
import platform
import time
from pathlib import Path
from typing import Any

from benchmarks.suite.comparison import Comparison

__all__ = ["save"]


def save(comparison: Comparison, settings: dict[str, Any], path: Path) -> None:
    """Writes all runs, their medians, ratios and means as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "machine": {
            "machine": platform.machine(), "system": platform.platform(), "cores": os.cpu_count(),
            "python": platform.python_version(),
        },
        "settings": settings,
        "workloads": {workload: _workload(comparison, workload) for workload in comparison.runs},
        "geometric_means": {
            ours: {peer: {"ratio": mean, "workloads": count} for peer, (mean, count) in comparison.means(ours).items()}
            for ours in comparison.ours
        },
    }  # fmt: skip
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _workload(comparison: Comparison, workload: str) -> dict[str, Any]:
    return {
        side: {
            **run.as_json(),
            "cached_rate": run.cached_rate,
            "tokens_per_second": run.tokens_per_second,
            "ratio": {ours: comparison.ratio(workload, side, ours) for ours in comparison.ours},
            "is_unequal_work": comparison.is_unequal(workload, side),
            "runs": [one.as_json() for one in comparison.runs[workload][side]],
        }
        for side, run in comparison.medians(workload).items()
    }
