"""Process: what all programs of this process share: the default backend, the loop, and the threads of `arun`.

The one global of this package.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar, cast

from sgdsl.backends.base import Backend
from sgdsl.errors import InvalidArgument
from sgdsl.loop import Loop
from sgdsl.network import Network
from sgdsl.workers import Workers

__all__ = ["as_backend", "default_backend", "loop", "network", "present_backend", "set_default_backend", "submit"]

T = TypeVar("T")
NUM_WORKERS = 32


class _Process:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.starting = threading.Lock()  # apart, because starting an engine takes seconds
        self.backend: Backend | None = None
        self.loop: Loop | None = None
        self.workers: Workers | None = None
        self.network = Network()


_process = _Process()


def set_default_backend(backend: Any) -> None:
    """Makes `backend` (a backend, or an `sgdsl.Engine`) the one programs run on; None forgets it."""
    _process.backend = None if backend is None else as_backend(backend)


def as_backend(backend: Any) -> Backend:
    """A backend as it is; an engine, or a server that was started, as one.

    Raises:
        InvalidArgument: it is neither.
    """
    if hasattr(backend, "capabilities") and hasattr(backend, "open"):
        return cast(Backend, backend)
    if hasattr(backend, "open") and hasattr(backend, "tokenizer"):
        from sgdsl.backends.engine import EngineBackend

        return EngineBackend.of(backend)
    if hasattr(backend, "generate_url"):
        return cast(Backend, backend.endpoint)
    raise InvalidArgument(f"backend={backend!r} is not allowed: a backend, an Engine or a Runtime")


def default_backend() -> Backend:
    """The default backend; the first to ask for it, when none was set, starts `Engine()` on the default model."""
    with _process.starting:
        if _process.backend is None:
            from sgdsl.backends.engine import EngineBackend

            started = EngineBackend.start()
            atexit.register(started.close)
            _process.backend = started
            return started
        return _process.backend


def present_backend() -> Backend | None:
    """The default backend if there is one already; none is started."""
    return _process.backend


def loop() -> Loop:
    """The interpreter's loop, started by the first to ask."""
    with _process.lock:
        if _process.loop is None:
            _process.loop = Loop()
        return _process.loop


def network() -> Network:
    """Where this process talks to servers."""
    return _process.network


def submit(work: Callable[[], T], *, apart: bool = False) -> Future[T]:
    """Does `work`, a plain program that is awaited or streamed, in one of the worker threads when one is free.

    Args:
        apart: do it in a thread of its own, at once, because a worker thread may be waiting for it.
    """
    if apart:
        return Workers.apart(work)
    with _process.lock:
        if _process.workers is None:
            _process.workers = Workers(NUM_WORKERS)
        return _process.workers.submit(work)
