from __future__ import annotations

from pathlib import Path

import pytest

from sgdsl.cli.bench.figures import Slo
from sgdsl.cli.bench.picture import draw, tokens_by_time
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


@pytest.mark.parametrize("samples", [SAMPLES, SAMPLES[1:], []])
@pytest.mark.parametrize("slo", [Slo(), Slo(0.5, 0.01)])
def test_a_picture_is_drawn_of_whatever_came(samples: list[Sample], slo: Slo, tmp_path: Path):
    path = tmp_path / "x.png"
    draw(samples, slo, ["title"], path)
    assert path.read_bytes().startswith(b"\x89PNG")
