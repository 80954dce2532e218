from __future__ import annotations

from runtime.server.metrics.throughput import Throughput


def test_the_rate_since_the_last_look() -> None:
    throughput = Throughput()
    assert throughput.seen(100, 10.0) == 0
    assert throughput.seen(300, 12.0) == 100
    assert throughput.seen(900, 12.5) == 100  # somebody else looks: nothing changes
    assert throughput.seen(900, 14.0) == 300
    assert throughput.seen(900, 16.0) == 0


def test_a_counter_that_began_anew() -> None:
    throughput = Throughput()
    throughput.seen(1000, 0.0)
    assert throughput.seen(50, 5.0) == 10
