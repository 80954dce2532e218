from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import TypeAlias

import pytest

import sgdsl as sg
from sgdsl.cli import main
from sgdsl.cli.logs import LOGGERS
from sgdsl.cli.program_file import MODULE

Write: TypeAlias = Callable[..., Path]
Sgdsl: TypeAlias = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A command changes its process, as commands may; tests share one."""
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("NO_COLOR", "1")
    before = {name: (list(log.handlers), log.level, log.propagate) for name, log in _loggers().items()}
    sg.set_default_backend(None)
    yield
    sg.set_default_backend(None)
    sys.modules.pop(MODULE, None)
    for name, log in _loggers().items():
        log.handlers, log.level, log.propagate = before[name]
        log.setLevel(before[name][1])


def _loggers() -> dict[str, logging.Logger]:
    return {name: logging.getLogger(name) for name in LOGGERS}


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a program into the current folder."""
    monkeypatch.chdir(tmp_path)

    def written(source: str, name: str = "program.py") -> Path:
        path = Path(name)
        path.write_text("import sgdsl as sg\n" + dedent(source), encoding="utf-8")
        return path

    return written


@pytest.fixture
def sgdsl(capsys: pytest.CaptureFixture[str]) -> Sgdsl:
    """Runs a command on the mock and returns its exit code, stdout and stderr."""

    def run(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        command = [str(word) for word in words]
        if command[:1] == ["run"]:
            command[1:1] = ["--backend", "mock"]
        code = main(command)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
