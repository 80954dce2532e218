"""Events: a program's text as it comes into being, in text order, for whoever prints it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Constant", "Event", "Generated", "GeneratedEnd", "RoleClosed", "RoleOpened", "RolledBack"]


@dataclass(frozen=True, slots=True)
class RoleOpened:
    """A chat message began; `text` is its prefix."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class RoleClosed:
    """A chat message ended; `text` is its suffix."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Constant:
    """Text the program wrote."""

    text: str


@dataclass(frozen=True, slots=True)
class Generated:
    """Text the model wrote, a piece at a time, for the variable `name`."""

    text: str
    name: str | None


@dataclass(frozen=True, slots=True)
class GeneratedEnd:
    """The variable `name` is whole."""

    name: str | None


@dataclass(frozen=True, slots=True)
class RolledBack:
    """The text went back to what stood at an earlier checkpoint: `text` is all that is left."""

    text: str


Event: TypeAlias = RoleOpened | RoleClosed | Constant | Generated | GeneratedEnd | RolledBack
