"""Awaited: text that is appended as soon as it is there. Compiled programs have it where recorded ones read a value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from runtime.handle import Handle
from sgdsl.outcome import Outcome, gathered

__all__ = ["Awaited", "derived"]


@dataclass(frozen=True, slots=True, eq=False)
class Awaited:
    """An instruction of a run, not of a program: the stream stands still until the text is there.

    Attributes:
        name: what the text is of, for messages.
        handle: its value is the text.
    """

    name: str
    handle: Handle[Outcome]


def derived(handles: Sequence[Handle[Outcome]], make: Callable[[], Any]) -> Handle[Outcome]:
    """The value that `make` gives once all of these are there; else what it raised, or one of them has failed with."""
    return gathered(handles, lambda _: _outcome(make()))


def _outcome(value: Any) -> Outcome:
    return Outcome(value, value if isinstance(value, str) else None)
