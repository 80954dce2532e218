"""What follows from runs: medians, ratios, means; unequal work is seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.suite.catalogue import WORKLOADS
from benchmarks.suite.chart import draw
from benchmarks.suite.comparison import Comparison, geometric_mean
from benchmarks.suite.measurement import Measurement, median
from benchmarks.suite.table import closing, rows


def _run(seconds: float, generated: int = 100, error: str | None = None) -> Measurement:
    return Measurement(seconds=seconds, prompt_tokens=50, cached_tokens=20, generated_tokens=generated, error=error)


@pytest.fixture
def comparison() -> Comparison:
    """Two peers: one of them four and one times as slow, the other twice as slow, and failed."""
    made = Comparison(("engine", "server", "a", "b"), ("engine", "server"))
    for side, run in {"engine": _run(1), "server": _run(2), "a": _run(4), "b": _run(2, 90)}.items():
        made.add("gsm8k", side, run)
    for side, run in {"engine": _run(1), "server": _run(1), "a": _run(1), "b": _run(0, error="gone")}.items():
        made.add("chat", side, run)
    return made


def test_the_median_is_a_run_and_a_failure_is_not_hidden_by_it() -> None:
    assert median([_run(3), _run(1), _run(2)]).seconds == 2
    assert median([_run(1), _run(2)]).seconds == 2
    assert median([_run(1), _run(1), _run(0, error="gone")]).error == "gone"


def test_geometric_mean() -> None:
    assert geometric_mean([2.0, 8.0, None]) == (pytest.approx(4.0), 2)
    assert geometric_mean([None]) == (None, 0)


def test_ratios_are_to_each_of_ours_and_the_best_peer_is_the_fastest_of_each(comparison: Comparison) -> None:
    assert comparison.ratio("gsm8k", "a", "engine") == 4
    assert comparison.ratio("gsm8k", "a", "server") == 2
    assert comparison.best_ratio("gsm8k", "engine") == 2
    means = comparison.means("engine")
    assert means["a"] == (pytest.approx(2.0), 2)
    assert means["b"] == (pytest.approx(2.0), 1)
    assert means["best peer"] == (pytest.approx(2**0.5), 2)


def test_unequal_work_is_marked(comparison: Comparison) -> None:
    table = rows(WORKLOADS["gsm8k"], comparison).splitlines()
    assert ["≠" in line for line in table] == [False, False, False, True]
    assert table[2].split() == ["a", "4.00", "4.00x", "50", "40.0%", "100", "25.0"]


def test_the_end_names_means_and_failures(comparison: Comparison) -> None:
    lines = closing(comparison).splitlines()
    assert "geometric mean, b / engine: 2.00x, of 1 of 2 workloads" in lines
    assert "geometric mean, best peer / engine: 1.41x, of 2 of 2 workloads" in lines
    assert lines[-1] == "failed: chat on b: gone"


def test_the_chart_is_a_picture(comparison: Comparison, tmp_path: Path) -> None:
    draw(comparison, "a title", tmp_path / "new" / "chart.png")
    assert (tmp_path / "new" / "chart.png").read_bytes().startswith(b"\x89PNG")


def test_a_machine_that_was_not_quiet_is_said(comparison: Comparison) -> None:
    assert "not quiet" not in closing(comparison)
    comparison.add("chat", "a", Measurement(seconds=1.0, load=0.9))
    assert closing(comparison).splitlines()[-1].startswith("the machine was not quiet before 1 of 9 runs")
