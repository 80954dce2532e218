"""Curves: how the samples of a run are spread, in a form that is saved, so that runs can be drawn together."""

from __future__ import annotations

from collections.abc import Sequence

from sgdsl.cli.bench.sample import Sample

__all__ = ["SPREADS", "curves", "tokens_by_time"]

NUM_BINS = 60
NUM_STEPS = 200
SPREADS = ("first_token_seconds", "per_token_seconds", "request_seconds")
"""Those that are drawn, by their names among the figures."""


def curves(samples: Sequence[Sample]) -> dict[str, dict[str, list[float]] | list[float]]:
    """Throughput over time; and of each spread the values at 201 equal shares, from the least to the greatest.

    Failed requests do not count.
    """
    good = [sample for sample in samples if sample.error is None]
    places, rates = tokens_by_time(good, NUM_BINS)
    return {
        "throughput": {"seconds": places, "tokens_per_second": rates},
        "first_token_seconds": _spread([one.first_seconds for one in good]),
        "per_token_seconds": _spread([one.token_seconds for one in good]),
        "request_seconds": _spread([one.ended - one.began for one in good]),
    }


def tokens_by_time(samples: Sequence[Sample], num_bins: int) -> tuple[list[float], list[float]]:
    """Middles of equal spans since the first request began, in seconds, and the tokens a second in each.

    A request's tokens are spread evenly over its pieces.
    """
    if not any(sample.arrivals for sample in samples):
        return [], []
    begin = min(sample.began for sample in samples)
    width = max(max(sample.arrivals[-1] for sample in samples if sample.arrivals) - begin, 1e-9) / num_bins
    counts = [0.0] * num_bins
    for sample in samples:
        for arrival in sample.arrivals:
            counts[min(int((arrival - begin) / width), num_bins - 1)] += sample.num_new / len(sample.arrivals)
    return [(place + 0.5) * width for place in range(num_bins)], [count / width for count in counts]


def _spread(values: Sequence[float | None]) -> list[float]:
    known = sorted(value for value in values if value is not None)
    places = (max(0, -(-step * len(known) // NUM_STEPS) - 1) for step in range(NUM_STEPS + 1))
    return [known[place] for place in places] if known else []
