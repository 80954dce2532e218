"""Runtime: a server of our own in a process of its own, for whoever wants a URL rather than an engine."""

from __future__ import annotations

import atexit
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import weakref
from collections import deque
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sgdsl.errors import EndpointError, InvalidArgument

if TYPE_CHECKING:
    from sgdsl.backends.endpoint import RuntimeEndpoint

__all__ = ["Runtime"]

log = logging.getLogger("sgdsl.server")

KILL_SECONDS = 10.0
"""How long a server may take to end."""
LAST_LINES = 20
READY = re.compile(r" at (https?://\S+)$")


class Runtime:
    """Starts `sgdsl serve` and waits until it serves. A context manager; `shutdown` ends it.

    The server is a program of its own, not a fork of this one: users' files need no `__main__` guard.

    Args:
        model_path: a built-in name, a folder, a GGUF file or a hub id.
        tokenizer_path: must be the model's own, as everything here takes the tokenizer from the model.
        host, port: where it listens; no port takes a free one.
        api_key: what clients must send.
        start_seconds: how long it may take, loading the model included.
        log_level: what is shown of its log here; "info" and "debug" pass it on to the logger `sgdsl.server`.
        settings: the engine's own, as for `Engine`.

    Attributes:
        url: the server's. pid: of its process.

    Raises:
        InvalidArgument: a setting that cannot be written on a command line.
        EndpointError: it did not come up; the message has its last words.
    """

    def __init__(
        self,
        model_path: str = "smollm2",
        *,
        tokenizer_path: str | None = None,
        host: str = "127.0.0.1",
        port: int | None = None,
        api_key: str | None = None,
        start_seconds: float = 600.0,
        log_level: str = "warning",
        **settings: Any,
    ) -> None:
        if tokenizer_path not in (None, model_path):
            raise InvalidArgument(
                f"tokenizer_path={tokenizer_path!r} is not allowed: the model's own tokenizer is used"
            )
        self.model_path = model_path
        self._api_key = api_key
        self._lines: deque[str] = deque(maxlen=LAST_LINES)
        self._ready = threading.Event()
        self._tells = log_level.lower() in ("info", "debug")
        self.url = ""
        command = _command(model_path, host, port, settings)
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            encoding="utf-8", errors="replace", env=_environment(api_key), start_new_session=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=_read, args=(weakref.ref(self), self._process), daemon=True)
        self._reader.start()
        self._finalizer = weakref.finalize(self, _end, self._process)
        self._finalizer.atexit = False
        atexit.register(self._finalizer)
        self._wait(start_seconds)

    @property
    def pid(self) -> int:
        """Of the server's process."""
        return self._process.pid

    @property
    def generate_url(self) -> str:
        """Where SGLang's native requests go."""
        return f"{self.url}/generate"

    @cached_property
    def endpoint(self) -> RuntimeEndpoint:
        """The server as a backend."""
        from sgdsl.backends.endpoint import RuntimeEndpoint

        return RuntimeEndpoint(self.url, self._api_key)

    def get_tokenizer(self) -> Any:
        """The model's tokenizer, as a fast tokenizer of `transformers`."""
        from runtime.model.hub import resolve
        from runtime.tokenizer import Tokenizer
        from runtime.tokenizer_manager import TokenizerManager

        return TokenizerManager(Tokenizer.load(resolve(self.model_path))).tokenizer

    def shutdown(self) -> None:
        """Ends the server: what runs may go on for a few seconds. Safe to call twice."""
        endpoint = self.__dict__.pop("endpoint", None)
        if endpoint is not None:
            endpoint.close()
        atexit.unregister(self._finalizer)
        self._finalizer()
        self._reader.join(KILL_SECONDS)

    def __enter__(self) -> Runtime:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    def _wait(self, seconds: float) -> None:
        in_time = False
        try:
            in_time = self._ready.wait(seconds)
        finally:
            if not self.url:
                self.shutdown()
        if not self.url:
            said = "\n".join(self._lines)
            why = f"it ended with {self._process.returncode}" if in_time else f"not within start_seconds={seconds:g}"
            raise EndpointError(f"the server for {self.model_path!r} did not come up: {why}\n{said}")

    def _heard(self, line: str | None) -> None:
        """A line of the server's log, or its end."""
        if line is None:
            self._ready.set()
            return
        self._lines.append(line)
        if self._tells:
            log.info("%s", line)
        found = READY.search(line)
        if found is not None and not self.url and line.startswith("sgdsl: "):
            self.url = found.group(1)
            self._ready.set()


def _command(model_path: str, host: str, port: int | None, settings: dict[str, Any]) -> Sequence[str]:
    command = [
        *(sys.executable, "-P", "-m", "sgdsl.cli", "serve", "--model", model_path),
        *("--host", host, "--port", str(port or 0), "--drain-seconds", str(KILL_SECONDS / 2)),
    ]
    for name, value in settings.items():
        if value is None:
            continue
        if not isinstance(value, str | int | float | bool | os.PathLike):
            raise InvalidArgument(f"{name}={value!r} is not allowed: text, a number, or True or False")
        command += ["--set", f"{name}={value}"]
    return command


def _environment(api_key: str | None) -> dict[str, str]:
    """This package is found there as here; the key is on nobody's command line."""
    home = str(Path(__file__).resolve().parent.parent)
    paths = [home, *filter(None, [os.environ.get("PYTHONPATH")])]
    found = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    found.pop("SGDSL_API_KEY", None)
    return found if api_key is None else {**found, "SGDSL_API_KEY": api_key}


def _read(runtime: weakref.ref[Runtime], process: subprocess.Popen[str]) -> None:
    """Takes what the server says, so that it is never held up by saying it."""
    if process.stderr is None:
        return
    with process.stderr as lines:
        for line in lines:
            _tell(runtime, line.rstrip())
    process.wait()
    _tell(runtime, None)


def _tell(runtime: weakref.ref[Runtime], line: str | None) -> None:
    alive = runtime()
    if alive is not None:
        alive._heard(line)


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(KILL_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
