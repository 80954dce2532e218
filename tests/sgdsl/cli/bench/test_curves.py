from __future__ import annotations

from sgdsl.cli.bench.curves import SPREADS, curves, tokens_by_time
from sgdsl.cli.bench.sample import Sample

SAMPLES = [
    Sample(0.0, ended=4.0, arrivals=[1.0, 2.0, 3.0, 4.0], new_tokens=8),
    Sample(0.0, ended=0.5, error="timeout"),
]


def test_tokens_are_counted_where_they_came():
    places, rates = tokens_by_time(SAMPLES, 4)
    assert places == [0.5, 1.5, 2.5, 3.5]
    assert rates == [0.0, 2.0, 2.0, 4.0]  # the last piece comes at the very end
    assert tokens_by_time(SAMPLES[1:], 4) == ([], [])


def test_spreads_are_at_equal_shares():
    samples = [Sample(0.0, ended=float(n), arrivals=[n / 2], new_tokens=1) for n in range(1, 401)]
    found = curves([*samples, Sample(0.0, ended=1000.0, error="timeout")])
    assert found["request_seconds"][0] == 1.0
    assert found["request_seconds"][1:] == [2.0 * step for step in range(1, 201)]
    assert found["first_token_seconds"][200] == 200.0
    assert found["per_token_seconds"] == []  # of a single token each


def test_where_nothing_came_there_is_nothing():
    found = curves(SAMPLES[1:])
    assert [found[name] for name in SPREADS] == [[], [], []]
    assert found["throughput"] == {"seconds": [], "tokens_per_second": []}
