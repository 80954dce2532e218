from __future__ import annotations

from typing import Any

import pytest

from sgdsl.cli.bench.figures import Slo, figures, quantile
from sgdsl.cli.bench.sample import Sample


def sample(began: float, *arrivals: float, ended: float | None = None, **fields: Any) -> Sample:
    return Sample(began, ended=ended or arrivals[-1], arrivals=list(arrivals), **fields)


SAMPLES = [
    sample(10.0, 10.5, 10.75, 11.0, new_tokens=5, prompt_tokens=100, cached_tokens=50),
    sample(10.0, 11.0, 12.0, new_tokens=2, prompt_tokens=100, cached_tokens=0),
    sample(12.0, 12.25, new_tokens=1, prompt_tokens=200, cached_tokens=150),
    Sample(10.0, ended=14.0, error="timeout"),
    Sample(10.0, ended=10.0, error="status 429"),
    Sample(10.0, ended=10.0, error="status 429"),
]


def test_rates_count_what_was_completed_over_the_whole_time():
    found = figures(SAMPLES, Slo())
    assert (found["seconds"], found["requests"], found["completed"], found["failed"]) == (4.0, 6, 3, 3)
    assert found["errors"] == {"status 429": 2, "timeout": 1}
    assert found["requests_per_second"] == 3 / 4
    assert found["new_tokens_per_second"] == 8 / 4
    assert found["prompt_tokens_per_second"] == 400 / 4
    assert found["cached_share"] == 200 / 400
    assert found["goodput"] is None


def test_latencies():
    found = figures(SAMPLES, Slo())
    assert found["first_token_seconds"] == {"mean": pytest.approx(1.75 / 3), "p50": 0.5, "p90": 1.0, "p99": 1.0}
    assert found["inter_token_seconds"] == {"mean": 0.5, "p50": 0.25, "p90": 1.0, "p99": 1.0}
    assert found["per_token_seconds"] == {"mean": (0.125 + 1.0) / 2, "p50": 0.125, "p90": 1.0, "p99": 1.0}
    assert found["request_seconds"]["mean"] == pytest.approx((1 + 2 + 0.25) / 3)


@pytest.mark.parametrize(
    ("slo", "kept"),
    [
        (Slo(first_seconds=0.5), 2),
        (Slo(token_seconds=0.2), 2),  # one token has no time between tokens
        (Slo(first_seconds=0.4, token_seconds=0.2), 1),
        (Slo(first_seconds=0.1), 0),
        (Slo(first_seconds=9), 3),
    ],
)
def test_goodput_counts_answers_that_keep_both_limits(slo, kept):
    goodput = figures(SAMPLES, slo)["goodput"]
    assert (goodput["share"], goodput["requests_per_second"]) == (kept / 6, kept / 4)


def test_a_server_that_counts_nothing():
    found = figures([sample(0.0, 1.0, 2.0, 4.0)], Slo())
    assert (found["prompt_tokens"], found["cached_share"], found["prompt_tokens_per_second"]) == (None, None, None)
    assert found["new_tokens"] == 3
    assert found["per_token_seconds"]["mean"] == 1.5


def test_nothing_at_all():
    found = figures([], Slo(first_seconds=1))
    assert (found["seconds"], found["requests_per_second"], found["goodput"]["share"]) == (0.0, 0.0, None)
    assert found["first_token_seconds"] is None


def test_a_quantile_is_one_of_the_values():
    assert [quantile([1, 2, 3, 4], share) for share in (0, 0.25, 0.5, 0.51, 0.99, 1)] == [1, 1, 2, 3, 4, 4]
