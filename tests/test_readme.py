"""Every Python block of the README runs, and its settings table is the truth."""

from __future__ import annotations

import re
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest

import sgdsl as sg
from runtime import config
from sgdsl.cli.parser import build_parser
from sgdsl.cli.serve_settings import ServeSettings
from sgdsl.cli.settings import engine_settings

ROOT = Path(sg.__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.fixture(autouse=True)
def _no_default_backend() -> Iterator[None]:
    sg.set_default_backend(None)
    yield
    sg.set_default_backend(None)


def run(block: str) -> dict[str, object]:
    names: dict[str, object] = {"__name__": "readme"}
    sys.modules["readme"] = sys  # annotations are resolved through the module of that name
    try:
        exec(compile(block, "README.md", "exec"), names)
    finally:
        del sys.modules["readme"]
    return names


def block_with(text: str) -> str:
    found = [block for block in BLOCKS if text in block]
    assert len(found) == 1
    return found[0]


def test_the_first_program_has_eight_lines_and_runs() -> None:
    names = run(BLOCKS[0])
    assert len([line for line in BLOCKS[0].splitlines() if line.strip()]) <= 8
    program = names["main"]
    assert isinstance(program, sg.Program)
    state = program.run(backend=sg.Mock({"answer": "Because of scattering", "subject": [[-2.0], [-2.0], [-0.1]]}))
    assert (state["answer"], state["subject"]) == ("Because of scattering", "science")


def test_the_forking_program_runs(capsys: pytest.CaptureFixture[str]) -> None:
    sg.set_default_backend(sg.Mock(["early to bed", "no phone"]))
    names = run(block_with("def tips"))
    assert names["state"].ret_value == ["early to bed", "no phone"]  # type: ignore[attr-defined]
    assert "early to bed" in capsys.readouterr().out


def test_the_typed_program_runs() -> None:
    names = run(block_with("class City"))
    assert names["state"]["city"].population == 700000  # type: ignore[index]


def test_the_routed_and_cached_program_runs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    run(block_with("sg.Router("))
    assert capsys.readouterr().out == "small\nlarge\nsmall\n1 2\n"


@pytest.mark.model
def test_the_engine_block_runs(capsys: pytest.CaptureFixture[str]) -> None:
    run(block_with("sg.Engine("))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(" Paris")
    assert int(lines[-1]) > 0


def test_every_block_is_tested() -> None:
    assert len(BLOCKS) == 6


def test_the_settings_table_lists_every_setting_with_its_default() -> None:
    table = README.partition("## Settings")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| `?([^|`]+)`? \|", table, re.MULTILINE))
    settings: dict[str, object] = {"audit": config.EngineConfig().audit}
    groups = (config.ModelSettings(), config.MemoryConfig(), config.SchedulerConfig(), config.GrammarConfig())
    for group in groups:
        settings |= {name: getattr(group, name) for name in typing.get_type_hints(type(group))}
    assert rows.keys() == settings.keys()
    for name, default in settings.items():
        assert rows[name].strip() in ((str(default),) if default is not None else ("derived", "none", "the model's"))


def test_the_config_file_it_shows_is_understood(tmp_path: Path) -> None:
    (shown,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    path, keys = tmp_path / "sgdsl.toml", tmp_path / "keys.json"
    keys.write_text("[]")
    path.write_text(shown.replace("keys.json", str(keys)), encoding="utf-8")
    options = build_parser().parse_args(["serve", "--config", str(path)])
    assert engine_settings(None, [], str(path))
    told = ServeSettings.of(options)
    assert (told.config.host, told.config.sessions.idle_seconds) == ("0.0.0.0", 120)


def test_whoever_comes_from_sglang_finds_names_that_are_there() -> None:
    table = README.partition("## Coming from SGLang")[2].partition("\n## ")[0]
    cells = [row.split("|")[1:4] for row in table.splitlines() if row.startswith("| ")][1:]
    assert {kind.strip() for _, kind, _ in cells} == {"same", "corrected", "new"}
    named = [name for left, _, _ in cells for name in re.findall(r"`(?:s\.)?([a-z_]\w+)", left)]
    holders = (sg, sg.Program, sg.ProgramState, sg.ProgramStateGroup)
    assert [name for name in named if name != "with" and not any(hasattr(one, name) for one in holders)] == []
    assert len(named) > 20


def test_the_commands_it_shows_are_understood() -> None:
    shown = [name for name in re.findall(r"^sgdsl run (\S+) .*#", README, re.MULTILINE) if name != "q.json"]
    assert shown
    for program in dict.fromkeys(shown):
        command = [sys.executable, "-m", "sgdsl.cli", "run", program, "--", "--help"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert program in done.stdout
