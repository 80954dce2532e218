"""Events: a program's text as it comes into being, in text order, for whoever prints it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, TypeAlias

__all__ = ["Constant", "Event", "Generated", "GeneratedEnd", "RoleClosed", "RoleOpened", "RolledBack", "written"]


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

_NAMES: Mapping[type, str] = MappingProxyType(
    {
        RoleOpened: "role_begin",
        RoleClosed: "role_end",
        Constant: "text",
        Generated: "generated",
        GeneratedEnd: "generated_end",
        RolledBack: "rolled_back",
    }
)


def written(event: Event) -> dict[str, Any]:
    """An event for JSON: its name as `event`, and what belongs to it."""
    return {"event": _NAMES[type(event)]} | {field.name: getattr(event, field.name) for field in fields(event)}
