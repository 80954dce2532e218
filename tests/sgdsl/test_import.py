from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import sgdsl as sg

ROOT = Path(sg.__file__).parent.parent
HEAVY = (
    "aiohttp",
    "sqlite3",
    "openai",
    "anthropic",
    "torch",
    "numpy",
    "pydantic",
    "jinja2",
    "transformers",
    "tqdm",
    "tokenizers",
    "runtime.engine",
)


def python(code: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=cwd, env={"PYTHONPATH": f"{cwd}:{ROOT}"}, capture_output=True, text=True)


def test_importing_loads_nothing_heavy(tmp_path: Path) -> None:
    done = python(f"import sys, sgdsl; print([m for m in {HEAVY!r} if m in sys.modules])", tmp_path)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("name", ["runtime", "grammars"])
def test_a_file_in_the_way_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / f"{name}.py").write_text("")
    done = python("import sgdsl", tmp_path)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError")
    assert str(tmp_path / f"{name}.py") in last


def test_every_exported_name_exists() -> None:
    for name in set(sg.__all__) - {"Engine"}:
        assert getattr(sg, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        sg.nonsense  # noqa: B018
