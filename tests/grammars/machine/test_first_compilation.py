from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import numba
import pytest
from numba import types

from grammars.machine import first_compilation, kernels


def double(number: int) -> int:
    return 2 * number


@pytest.fixture(autouse=True)
def nothing_said_yet() -> None:
    first_compilation._say.cache_clear()


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.name == "sgdsl.kernels"]


def test_kernels_that_are_in_no_cache_are_announced_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))  # type: ignore[attr-defined]
    caplog.set_level(logging.WARNING, "sgdsl.kernels")
    assert kernels._compiled(double, types.int64(types.int64))(2) == 4
    assert kernels._compiled(double, types.float64(types.float64))(2.5) == 5
    assert said(caplog) == ["compiling kernels, once on this machine: this takes about 40 seconds"]
    caplog.clear()
    first_compilation._say.cache_clear()
    assert kernels._compiled(double, types.int64(types.int64))(2) == 4
    assert said(caplog) == []


def test_importing_compiles_nothing() -> None:
    program = "import sys, grammars, grammars.machine.engine, grammars.machine.kernels; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
