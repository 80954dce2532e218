from __future__ import annotations

import pytest

from benchmarks.simulation.histogram import Histogram


def test_quantiles_are_right_to_a_percent_and_sums_exact() -> None:
    found = Histogram()
    for place in range(1, 1001):
        found.add(place / 10)
    assert found.mean == pytest.approx(50.05)
    assert found.figures() == {
        "mean": pytest.approx(50.05),
        "p50": pytest.approx(50.0, rel=0.01),
        "p99": pytest.approx(99.0, rel=0.01),
        "max": 100.0,
    }


def test_what_takes_no_time_is_nothing() -> None:
    found = Histogram()
    assert found.quantile(0.5) == found.mean == 0.0
    found.add(0.0)
    found.add(3.0)
    assert found.quantile(0.5) == 0.0
    assert found.quantile(1.0) == pytest.approx(3.0, rel=0.01)
