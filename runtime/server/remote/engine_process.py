"""The engine's process: `python -m runtime.server.remote.engine_process`, started by the server and by nobody else.

Its settings come as one line of JSON on standard input (`runtime.server.remote.messages.Settings`), which stays open
as long as the server lives. It never imports the server's user's own files.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from typing import Any

import msgspec

from runtime.server.remote.channel import Channel
from runtime.server.remote.messages import Broken, Settings, Started
from runtime.server.remote.parent_watch import watch_parent
from runtime.wire.errors import problem_of

__all__ = ["main"]

log = logging.getLogger("sgdsl.engine")

LOOK_SECONDS = 0.2
"""Between two looks at whether the step loop is alive."""

LINGER_SECONDS = 5.0
"""What was said last may take so long to be sent."""


def main() -> int:
    """Serves until the server says stop; returns the exit code."""
    settings = msgspec.json.decode(sys.stdin.buffer.readline(), type=Settings)
    for number in (signal.SIGINT, signal.SIGTERM):  # the server's business: it drains first
        signal.signal(number, signal.SIG_IGN)
    watch_parent(settings.parent, sys.stdin.fileno())
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("sgdsl").setLevel(settings.log_level)
    process = EngineProcess(settings)
    try:
        return process.run()
    finally:
        process.channel.close(LINGER_SECONDS)


class EngineProcess:
    """Loads an engine and serves it over a channel.

    Args:
        settings: what the server said.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stop = threading.Event()
        self._desk: Any = None
        self.channel = Channel(
            settings.token, incoming=settings.orders, outgoing=settings.answers, binds=False, take=self._take
        )

    def _take(self, frame: bytes) -> None:
        if self._desk is None:  # before the engine serves, there is only one thing the server can want
            self._stop.set()
        else:
            self._desk.take(frame)

    def run(self) -> int:
        """Serves; returns the exit code."""
        from runtime.config import EngineConfig
        from runtime.engine import Engine
        from runtime.server.remote.desk import Desk
        from runtime.startup import start

        try:
            config = EngineConfig.of(self._settings.settings)
            assembled = start(config)
        except Exception as error:
            if not isinstance(error, ValueError | OSError) and type(error).__module__ != "runtime.errors":
                log.exception("the engine cannot start")
            self._break(error)
            return 1
        with Engine.of(config, assembled) as engine:
            self._desk = Desk(engine, assembled.core, self.channel.say, self._stop.set)
            self.channel.say(Started(assembled.model_name, engine.context_length, tuple(engine.budget_lines())))
            while not self._stop.wait(LOOK_SECONDS):
                if assembled.core.failure is not None:
                    self._break(assembled.core.failure)
                    return 1
        return 0

    def _break(self, error: BaseException) -> None:
        self.channel.say(Broken(problem_of(error), getattr(error, "remedy", None)))


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    os._exit(code)  # everything of ours has ended; the interpreter would take torch apart for seconds
