"""Waiting: blocking a thread so that Ctrl-C always gets through.

A signal that arrives between Python's last look and the wait itself wakes nobody, so no single wait is long.
"""

from __future__ import annotations

import concurrent.futures
import time
from typing import Any

from runtime.handle import Handle

__all__ = ["SLICE_SECONDS", "wait_for", "wait_for_future"]

SLICE_SECONDS = 0.25


def wait_for(handle: Handle[Any], deadline: float | None) -> None:
    """Waits until a handle has ended, well or badly.

    Raises:
        TimeoutError: not before `deadline` (of the monotonic clock).
    """
    while not handle.done():
        remaining = SLICE_SECONDS if deadline is None else deadline - time.monotonic()
        try:
            handle.result(max(0.0, min(remaining, SLICE_SECONDS)))
        except Exception:
            if not handle.done() and remaining <= SLICE_SECONDS and deadline is not None:
                raise


def wait_for_future(future: concurrent.futures.Future[Any]) -> None:
    """Waits until a future has ended, well or badly."""
    while not future.done():
        concurrent.futures.wait([future], SLICE_SECONDS)
