from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sgdsl.cli.bench.curves import curves
from sgdsl.cli.bench.figures import Slo, figures
from sgdsl.cli.bench.result import Result, differences, read_result
from sgdsl.cli.bench.sample import Sample
from sgdsl.cli.bench.table import compared
from sgdsl.cli.errors import UsageError


def saved(label: str, slowness: float, **load: Any) -> dict[str, Any]:
    samples = [
        Sample(0.0, ended=n * slowness, arrivals=[slowness, n * slowness], new_tokens=10, prompt_tokens=8)
        for n in range(2, 12)
    ]
    return {"label": label, "load": load, **figures(samples, Slo()), "curves": curves(samples)}


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps(saved("other", 1.0, seed=3)))
    found = read_result(path)
    assert (found.label, found.load, found.completed) == ("other", {"seed": 3}, 10)
    assert found.request_seconds is not None
    assert (found.request_seconds.p50, found.curves.request_seconds[100]) == (6.0, 6.0)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        ("{", "not a result"),
        ("{}", "missing required field `label`"),
        ('{"label": 3}', r"\$.label"),
        ("\udcff", "not a result"),
    ],
)
def test_a_file_that_is_none_is_told(tmp_path: Path, content: str | None, said: str) -> None:
    path = tmp_path / "x.json"
    if content is not None:
        path.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(UsageError, match=said) as caught:
        read_result(path)
    assert f"--compare {path}: " in str(caught.value)


def test_runs_side_by_side_say_how_many_times_better() -> None:
    own, other = (msgspec.convert(saved(label, slowness), Result) for label, slowness in (("fast", 1.0), ("slow", 2.0)))
    table = compared(own, [other])
    assert table[0].split() == ["fast", "slow"]
    rows = {line.strip().split("   ")[0]: line.split() for line in table[1:]}
    assert rows["requests/s"][-3:] == ["0.91", "0.45", "2.00x"]
    assert rows["request p50, ms"][-3:] == ["6000.0", "12000.0", "2.00x"]
    assert rows["cached, %"][-2:] == ["-", "-"]


def test_another_load_is_told() -> None:
    own, same, other = (
        msgspec.convert(saved(label, 1.0, rate=rate, seed=0), Result)
        for label, rate in (("own", 1.0), ("same", 1.0), ("other", 2.0))
    )
    assert differences(own, [same, other]) == ["other had another load: rate=2.0"]
