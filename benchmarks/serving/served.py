"""Served: `sgdsl serve` as a process, its address, and what it and its engine take of the machine."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

__all__ = ["Served"]

START_SECONDS = 120.0
STOP_SECONDS = 60.0
LOG_CHARACTERS = 2000


class Served:
    """A server on a free port; a context manager that ends it.

    Args:
        model: as of `sgdsl serve`; clients call it `name`.
        folder: its log is written there.
        settings: of the engine.
    """

    name = "served"

    def __init__(self, model: str, folder: Path, settings: Mapping[str, Any]) -> None:
        arguments = [argument for key, value in settings.items() for argument in ("--set", f"{key}={value}")]
        command = [sys.executable, "-m", "sgdsl.cli", "serve", model, "--port", "0", "--served-model-name", self.name]
        self._log = folder / "server.log"
        with self._log.open("w") as log:
            self._popen = subprocess.Popen([*command, *arguments], stdout=log, stderr=log)
        self.process = psutil.Process(self._popen.pid)
        self.url = self._read_url()

    def _read_url(self) -> str:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self._popen.poll() is None:
            found = re.search(r" at (http://\S+)", self._log.read_text())
            if found:
                return found[1]
            time.sleep(0.1)
        self._popen.kill()
        raise RuntimeError(f"the server does not start: {self.log}")

    @property
    def log(self) -> str:
        """What it has said last."""
        return self._log.read_text()[-LOG_CHARACTERS:]

    @property
    def megabytes(self) -> float:
        """Resident memory of the server and its engine."""
        return sum(one.memory_info().rss for one in self.processes) / 2**20

    @property
    def processes(self) -> tuple[psutil.Process, ...]:
        """The server's, and its engine's."""
        return (self.process, *self.process.children(recursive=True))

    def stop(self) -> int:
        """Ends it as an operator would; its exit status."""
        self._popen.terminate()
        return self._popen.wait(STOP_SECONDS)

    def __enter__(self) -> Served:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.stop() and error is None:
            raise RuntimeError(f"the server ended with an error: {self.log}")
