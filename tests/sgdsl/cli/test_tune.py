from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

LOAD = ("--seconds", "1.2", "--max-concurrency", "2", "--prompt-tokens", "20", "--new-tokens", "4", "-q")


@pytest.fixture
def tuned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_engine: Any, sgdsl: Any) -> Any:
    """Runs `sgdsl tune` on the tiny engine, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    @contextmanager
    def engine(**_: Any) -> Iterator[Any]:
        yield tiny_engine

    monkeypatch.setattr("runtime.engine.Engine", engine)
    return lambda *words: sgdsl("tune", *words)


def test_table_picture_and_config_file(tuned: Any) -> None:
    code, out, err = tuned(*LOAD, "--set", "policy=fcfs", "--output", "found")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split()[:2] == ["requests", "tokens/s"]
    assert [line.split()[0] for line in lines[1:3]] == ["1", "2"]
    found = json.loads(Path("found/tune.json").read_text(encoding="utf-8"))
    assert [level["concurrency"] for level in found["levels"]] == [1, 2]
    assert found["settings"]["max_total_tokens"]["became"] == 8192
    assert Path("found/tune.png").read_bytes().startswith(b"\x89PNG")
    config = tomllib.loads(Path("found/sgdsl.toml").read_text(encoding="utf-8"))["engine"]
    assert config == found["recommended"]
    assert (config["model"], config["policy"], config["max_total_tokens"]) == ("smollm2", "fcfs", 2048)
    assert config["max_running_requests"] in (1, 2)


def test_own_prompts_and_json(tuned: Any) -> None:
    Path("prompts.txt").write_text("the theatre\nthe other\n", encoding="utf-8")
    code, out, _ = tuned(*LOAD, "--json", "--prompts", "prompts.txt", "--max-concurrency", "1")
    assert code == 0
    assert json.loads(out) == json.loads(Path("tune.json").read_text(encoding="utf-8"))


def test_without_matplotlib_there_is_no_picture(tuned: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, out, err = tuned(*LOAD[:-1], "--max-concurrency", "1")
    assert code == 0
    assert 'no picture: matplotlib is missing; pip install "sgdsl[tune]" brings it' in err
    assert "saved tune.json, sgdsl.toml;" in out
    assert not Path("tune.png").exists()


def test_a_config_file_of_somebody_else_is_left_alone(tuned: Any) -> None:
    Path("sgdsl.toml").write_text("[engine]\n", encoding="utf-8")
    code, _, err = tuned(*LOAD)
    assert (code, Path("sgdsl.toml").read_text(encoding="utf-8")) == (2, "[engine]\n")
    assert "sgdsl.toml is there and not from here" in err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--max-concurrency", "0"), "--max-concurrency 0: a number of at least 1 is needed"),
        (("--seconds", "nan"), "--seconds nan: a number above 0 is needed"),
        (("--backend", "mock"), "--backend mock: there is nothing to tune but an engine"),
        (("--prompts", "none.txt"), "--prompts none.txt: "),
        (("--prompt-tokens", "4000"), "--prompt-tokens 4000 and --new-tokens 4 come to 6006 tokens at most, but "),
    ],
)
def test_what_is_asked_wrongly(tuned: Any, words: tuple[str, ...], reason: str) -> None:
    code, out, err = tuned(*LOAD, *words)
    assert (code, out) == (2, "")
    assert err.startswith(f"sgdsl: {reason}")


def test_a_prompt_that_is_too_long_is_told(tuned: Any) -> None:
    Path("prompts.txt").write_text("0123456789" * 2000, encoding="utf-8")
    code, _, err = tuned(*LOAD, "--prompts", "prompts.txt")
    assert code == 1
    assert "context_length=2048 leaves no room for more" in err
