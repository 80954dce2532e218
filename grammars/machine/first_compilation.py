"""Says that kernels are compiled, which takes so long the first time that it looks as if nothing went on."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

__all__ = ["announced"]

_LOG = logging.getLogger("sgdsl.kernels")


@contextmanager
def announced() -> Iterator[None]:
    """The first kernel that numba finds in no cache meanwhile is announced in the log, once in a process."""
    from numba.core import event

    class Compiling(event.Listener):
        def on_start(self, event: Any) -> None:
            _say()

        def on_end(self, event: Any) -> None:
            pass

    with event.install_listener("numba:compile", Compiling()):
        yield


@cache
def _say() -> None:
    _LOG.warning("compiling kernels, once on this machine: this takes about 40 seconds")
