"""Meter: counts what passes through a backend, whoever asks: programs, forks, batches, scripts."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from runtime.handle import Chunk, Generation, Handle, Scores
from sgdsl.usage import Usage

if TYPE_CHECKING:
    from sgdsl.backends.base import Backend, BackendSession

__all__ = ["Meter"]


class Meter:
    """A backend that is another one, and counts.

    Args:
        backend: the one that does the work.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._usage = Usage()
        self._lock = threading.Lock()

    def open(self, *, namespace: str = "", program: str = "") -> BackendSession:
        """A new, empty session that is counted."""
        return _counted(self._backend.open(namespace=namespace, program=program), self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def usage(self) -> Usage:
        """Everything finished so far."""
        with self._lock:
            return self._usage

    def add(self, handle: Handle[Any], chunk: Chunk | None = None) -> None:
        """A call's handle has news; counts the call when it has ended well."""
        if chunk is not None or handle.error() is not None:
            return
        result = handle.result()
        if isinstance(result, Scores):
            usage = Usage(selects=1, prompt_tokens=result.prompt_tokens, cached_tokens=result.cached_tokens)
        else:
            usage = Usage.of([cast(Generation, result)])
        with self._lock:
            self._usage += usage


class _Counted:
    """A session of a metered backend."""

    def __init__(self, session: Any, meter: Meter) -> None:
        self._session = session
        self._meter = meter

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def generate(self, *args: Any, **kwargs: Any) -> Handle[Generation]:
        handle: Handle[Generation] = self._session.generate(*args, **kwargs)
        handle.subscribe(partial(self._meter.add, handle))
        return handle

    def score(self, *args: Any, **kwargs: Any) -> Handle[Scores]:
        handle: Handle[Scores] = self._session.score(*args, **kwargs)
        handle.subscribe(partial(self._meter.add, handle))
        return handle

    def fork(self, n: int) -> Sequence[BackendSession]:
        return [_counted(session, self._meter) for session in self._session.fork(n)]


def _counted(session: object, meter: Meter) -> BackendSession:
    return cast("BackendSession", _Counted(session, meter))
