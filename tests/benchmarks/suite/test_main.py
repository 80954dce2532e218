"""The command: all of it on a tiny random model, in process, on a server, and through the OpenAI API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import sgdsl as sg
from benchmarks.suite.__main__ import main
from benchmarks.suite.catalogue import WORKLOADS
from benchmarks.tiny_folder import tiny_folder

SETTINGS = {"max_total_tokens": 32768, "chat_template": "chatml", "attention": "torch"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tiny")
    tiny_folder(made, context_length=8192)
    return made


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[sg.Runtime]:
    with sg.Runtime(str(folder), **SETTINGS) as runtime:
        yield runtime


@pytest.mark.slow
def test_every_workload_runs_on_every_side(
    folder: Path, server: sg.Runtime, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "suite.json"
    settings = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
    arguments = [
        "--ours", "engine,server", "--server-url", server.url, "--peers", f"same={server.url}", "--size", "small",
        "--repeat", "1", "--model", str(folder), "--out", str(out), *settings,
    ]  # fmt: skip
    assert main(arguments) == 0
    found = json.loads(out.read_text(encoding="utf-8"))
    assert list(found["workloads"]) == list(WORKLOADS)
    for name, sides in found["workloads"].items():
        assert list(sides) == ["engine", "server", "same"]
        assert [side["error"] for side in sides.values()] == [None] * 3, name
        if WORKLOADS[name].has_fixed_length:
            assert len({side["generated_tokens"] for side in sides.values()}) == 1, name
        assert sides["same"]["ratio"]["engine"] > 0
        assert 0 <= sides["engine"]["cached_rate"] < 1
    assert found["geometric_means"]["engine"]["best peer"]["workloads"] == len(WORKLOADS)
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    shown = capsys.readouterr().out
    assert "geometric mean, same / engine: " in shown
    assert "FAILED" not in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--only", "none"], "--only: 'none' is not one of gsm8k"),
        (["--ours", "theirs"], "--ours: 'theirs' is not one of engine, server"),
        (["--repeat", "0"], "--repeat 0: at least 1"),
        (["--set", "nothing=1"], "no setting 'nothing'"),
        (["--data", "/none"], "--data: "),
        (["--peers", "x"], "--peers: 'x' is not allowed"),
        (["--peers", "x=http://127.0.0.1:1"], "--peers: x: http://127.0.0.1:1/v1/models"),
    ],
)
def test_what_is_not_allowed_is_said_before_anything_starts(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert words in capsys.readouterr().err
