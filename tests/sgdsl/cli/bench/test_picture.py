from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from sgdsl.cli.bench.curves import curves
from sgdsl.cli.bench.figures import Slo, figures
from sgdsl.cli.bench.picture import draw
from sgdsl.cli.bench.result import Result
from sgdsl.cli.bench.sample import Sample

SAMPLES = [
    Sample(0.0, ended=4.0, arrivals=[1.0, 2.0, 3.0, 4.0], new_tokens=8),
    Sample(0.0, ended=0.5, error="timeout"),
]


def result(samples: list[Sample], label: str = "own") -> Result:
    found: dict[str, Any] = {"label": label, "load": {}, **figures(samples, Slo()), "curves": curves(samples)}
    return msgspec.convert(found, Result)


@pytest.mark.parametrize("others", [[], [SAMPLES], [SAMPLES[1:], SAMPLES, SAMPLES, SAMPLES]])
@pytest.mark.parametrize("samples", [SAMPLES, SAMPLES[1:], []])
@pytest.mark.parametrize("slo", [Slo(), Slo(0.5, 0.01)])
def test_a_picture_is_drawn_of_whatever_came(
    samples: list[Sample], others: list[list[Sample]], slo: Slo, tmp_path: Path
):
    path = tmp_path / "x.png"
    draw([result(samples), *(result(one, "other") for one in others)], slo, ["title"], path)
    assert path.read_bytes().startswith(b"\x89PNG")
