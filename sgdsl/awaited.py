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


def derived(
    handles: Sequence[Handle[Outcome]], make: Callable[[], Any], text_of: Callable[[Any], str] | None = None
) -> Handle[Outcome]:
    """The value that `make` gives once all of these are there; else what it raised, or one of them has failed with.

    Args:
        text_of: makes the text of a value that is none.
    """

    def outcome(_: object) -> Outcome:
        value = make()
        text = value if isinstance(value, str) or text_of is None else text_of(value)
        return Outcome(value, text if isinstance(text, str) else None)

    return gathered(handles, outcome)
