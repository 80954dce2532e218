"""Side: somebody who runs the workloads: our engine, our server, or a peer's server."""

from __future__ import annotations

import os
from typing import Any, Protocol

import sgdsl as sg
from benchmarks.suite.processor import listeners, seconds_of
from sgdsl.backends.base import Backend
from sgdsl.backends.engine import EngineBackend

__all__ = ["EngineSide", "ServerSide", "Side"]


class Side(Protocol):
    """Whoever is measured.

    Attributes:
        name: a column of the report. about: what it is, for the report's head.
        is_ours: others are compared with it, not it with others.
    """

    name: str
    about: str
    is_ours: bool

    def backend(self, *, is_chat: bool) -> Backend:
        """What programs run on: one asked with messages, where it makes a difference."""

    def cpu_seconds(self) -> float | None:
        """Processor time of its processes so far; None where they cannot be seen."""

    def computed_tokens(self) -> int | None:
        """Prompt tokens it has run through its model so far; None where only its answers tell."""

    def close(self) -> None:
        """Gives up what was started for it."""


class EngineSide:
    """Our engine, in this process.

    Args:
        settings: its own, the model among them.
    """

    name = "engine"
    is_ours = True

    def __init__(self, settings: dict[str, Any]) -> None:
        self._backend = EngineBackend.of(sg.Engine(**settings))
        described = self._backend.engine.describe()
        shown = ("model", "weight_format", "attention", "kv_dtype")
        self.about = ", ".join(f"{key} {described[key]}" for key in shown if key in described)

    def backend(self, *, is_chat: bool) -> Backend:
        """The engine, however it is asked."""
        return self._backend

    def cpu_seconds(self) -> float | None:
        """Of this process, the language included."""
        return seconds_of([os.getpid()])

    def computed_tokens(self) -> int | None:
        """By the engine's own count: what a fork takes over was computed by nobody else, and counts once."""
        return int(self._backend.engine.stats()["computed_tokens"])

    def close(self) -> None:
        """Shuts it down."""
        self._backend.close()


class ServerSide:
    """Our server, by its sessions.

    Args:
        settings: of its engine, the model among them, where no URL is given and it has to be started.
        url: of one that runs already.
        api_key: what it asks for.
    """

    name = "server"
    is_ours = True

    def __init__(self, settings: dict[str, Any], url: str | None = None, api_key: str | None = None) -> None:
        own = dict(settings)
        self._runtime = None if url else sg.Runtime(own.pop("model"), api_key=api_key, **own)
        self._url = url or (self._runtime.url if self._runtime else "")
        self._backend = sg.RuntimeEndpoint(self._url, api_key)
        self._pids = listeners(self._url)
        self.about = f"{self._backend.model} at {self._url}"

    def backend(self, *, is_chat: bool) -> Backend:
        """The server, however it is asked."""
        return self._backend

    def cpu_seconds(self) -> float | None:
        """Of the server's processes, without this one."""
        return seconds_of(self._pids)

    def computed_tokens(self) -> int | None:
        """By its engine's own count."""
        return int(self._backend.get_server_info()["stats"]["computed_tokens"])

    def close(self) -> None:
        """Closes the connection, and ends the server if it was started here."""
        self._backend.close()
        if self._runtime is not None:
            self._runtime.shutdown()
