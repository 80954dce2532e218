"""What the benchmark of the engine alone computes and reads: lines, clocks, and the peer's output."""

from __future__ import annotations

import pytest

from benchmarks.engine.clock import Clock
from benchmarks.engine.growth import fit
from benchmarks.engine.llama import parse


def test_a_line_through_points_on_a_line_explains_all_of_them() -> None:
    line = fit("requests", [1, 2, 5], [7.0, 9.0, 15.0])
    assert (line.slope, line.intercept, line.r2) == pytest.approx((2.0, 5.0, 1.0))


def test_points_off_the_line_are_not_explained() -> None:
    assert fit("requests", [1, 2, 3, 4], [1.0, 9.0, 9.0, 1.0]).r2 == pytest.approx(0.0)


def test_the_peers_rates_are_read_from_its_line() -> None:
    found = parse('loading\n{"pp": 100, "speed_pp": 320.5, "speed_tg": 105.25}\n\n')
    assert (found.prefill, found.decode) == (320.5, 105.25)


@pytest.mark.parametrize(("output", "named"), [("nothing", "0 lines"), ('{"speed_pp": 1}', "speed_tg")])
def test_another_output_is_refused(output: str, named: str) -> None:
    with pytest.raises(RuntimeError, match=named):
        parse(output)


class _Slow:
    def __init__(self) -> None:
        self.now = 0.0

    def outer(self) -> None:
        self.now += 1
        self.inner()
        self.now += 2

    def inner(self) -> None:
        self.now += 10


def test_what_is_spent_inside_another_part_counts_once() -> None:
    slow = _Slow()
    with Clock(lambda: slow.now) as clock:
        clock.watch(slow, "outer", "outer")
        clock.watch(_Slow, "inner", "inner")
        slow.outer()
        slow.inner()
        assert clock.spent == {"outer": 3, "inner": 20}
    assert "outer" not in vars(slow)
    slow.outer()
    assert clock.spent == {"outer": 3, "inner": 20}
