"""Dropping: what is done when a program lets go of a state."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TypeVar

from sgdsl.loop import Loop

__all__ = ["when_dropped"]

T = TypeVar("T")


def when_dropped(owner: object, loop: Loop, target: T, act: Callable[[T], object]) -> None:
    """Once nobody holds `owner`, the loop calls `act(target)`.

    The garbage collector may run in any thread, whatever locks that thread holds, so the loop does it. The target is
    not held: it may itself lead back to the owner, as a failure does whose traceback has the program's variables, and
    where it goes together with the owner there is nothing left to be done.
    """
    found = weakref.ref(target)

    def dropped() -> None:
        loop.post(lambda: _act(found, act))

    weakref.finalize(owner, dropped).atexit = False


def _act(found: weakref.ref[T], act: Callable[[T], object]) -> None:
    target = found()
    if target is not None:
        act(target)
