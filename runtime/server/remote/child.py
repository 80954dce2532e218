"""Child: one process of the engine: started, spoken to, and cleared away when it has ended."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from runtime.server.remote.channel import Channel
from runtime.server.remote.messages import FromEngine, Settings, Stop, read_from_engine
from runtime.server.remote.remote_core import RemoteCore

if TYPE_CHECKING:
    from runtime.constant_texts import ConstantTexts

__all__ = ["Child"]

MODULE = "runtime.server.remote.engine_process"
TOKEN_BYTES = 32
LONGEST_ADDRESS = 100
"""A unix socket's path has at most 107 bytes on Linux and 103 elsewhere."""


class Child:
    """Starts the process at once. All methods may be called from any thread.

    The thread that makes it must live as long as the process is wanted: Linux ties the two together.

    Args:
        settings: of the engine, flat.
        constants: texts whose tokens are known.
        take: is given what is no answer to a call, and None when the process has ended; from other threads.
    """

    def __init__(
        self, settings: Mapping[str, Any], constants: ConstantTexts, take: Callable[[Child, FromEngine | None], None]
    ) -> None:
        self._take = take
        self._folder = _private_folder()
        token = secrets.token_bytes(TOKEN_BYTES)
        orders, answers = (_address(self._folder, name) for name in ("orders", "answers"))
        self._channel = Channel(token, incoming=answers, outgoing=orders, binds=True, take=self._frame)
        self.core = RemoteCore(constants, self._channel.say)
        said = Settings(dict(settings), token, orders, answers, os.getpid(), _log_level())
        try:
            self._process = _start(said)
        except BaseException:
            self._channel.close()
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        self.pid = self._process.pid
        self._waiter = threading.Thread(target=self._wait, name="sgdsl-engine-wait", daemon=True)
        self._waiter.start()

    def _frame(self, frame: bytes) -> None:
        for message in read_from_engine(frame):
            if hasattr(message, "call"):
                self.core.take(message)
            else:
                self._take(self, message)

    def _wait(self) -> None:
        self._process.wait()
        self._take(self, None)

    def say(self, message: Any) -> None:
        """Sends a message soon."""
        self._channel.say(message)

    def hide(self) -> None:
        """Once both sockets are connected: nobody can find them any more, and nothing is left if this process dies."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def stop(self) -> None:
        """Asks the engine to shut down."""
        self._channel.say(Stop())

    def kill(self) -> None:
        """Ends the process at once."""
        self._process.kill()

    @property
    def ended_by_itself(self) -> bool:
        """Whether it was no signal that ended it."""
        return self._process.returncode is not None and self._process.returncode >= 0

    @property
    def ending(self) -> str:
        """How the process ended, as a phrase."""
        code = self._process.returncode
        if code is None or code >= 0:
            return f"ended with exit code {code}"
        try:
            return f"was killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"was killed by signal {-code}"

    def clear_away(self) -> None:
        """After the process has ended: its sockets, their folder and their threads are no more. Not in `take`."""
        self._channel.close()
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        self._waiter.join()
        self.hide()


def _start(settings: Settings) -> subprocess.Popen[bytes]:
    paths = os.pathsep.join(path for path in sys.path if path)  # what is imported there is what is imported here
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", MODULE],
        stdin=subprocess.PIPE,
        stdout=2,  # whatever prints there speaks to people
        env={**os.environ, "PYTHONPATH": paths},
    )
    try:
        if process.stdin is not None:
            process.stdin.write(msgspec.json.encode(settings) + b"\n")
            process.stdin.flush()  # stays open: its end is how the process learns of ours
    except BrokenPipeError:  # it has ended already, as will be seen
        pass
    return process


def _log_level() -> int:
    return logging.getLogger("sgdsl").getEffectiveLevel()


def _private_folder() -> Path:
    """A new folder that only this user can look into, with a path short enough for sockets."""
    folder = tempfile.mkdtemp(prefix="sgdsl-")  # with mode 0700
    if len(os.fsencode(folder)) > LONGEST_ADDRESS - len("/answers") and os.path.isdir("/tmp"):
        shutil.rmtree(folder, ignore_errors=True)
        folder = tempfile.mkdtemp(prefix="sgdsl-", dir="/tmp")
    return Path(folder)


def _address(folder: Path, name: str) -> str:
    return f"ipc://{folder / name}"
