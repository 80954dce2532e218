"""Values: what a graph knows of data that is there only when it runs: arguments, generated text, and made of those."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

__all__ = [
    "NOTHING",
    "Arg",
    "Const",
    "Entries",
    "Items",
    "Joined",
    "Value",
    "VarRef",
    "as_text",
    "evaluated",
    "mapped",
    "references",
]


@dataclass(frozen=True, slots=True)
class Arg:
    """An argument of the program; as an instruction, its text."""

    name: str


@dataclass(frozen=True, slots=True)
class VarRef:
    """What an instruction has bound; as an instruction, its text.

    Attributes:
        origin: the instruction's index in the graph.
        name: the name it bound; empty for what a called program returned.
        path: the way into a value that is a list or a dict.
        form: the value, the raw text or the meta of it.
    """

    origin: int
    name: str
    path: tuple[int | str, ...] = ()
    form: Literal["value", "text", "meta"] = "value"


@dataclass(frozen=True, slots=True)
class Const:
    """A value that JSON has: None, a bool, a number or a string."""

    value: bool | int | float | str | None


NOTHING = Const(None)
"""What a program without a return statement returns."""


@dataclass(frozen=True, slots=True)
class Joined:
    """Texts, one after the other."""

    parts: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Items:
    """A list, or a tuple."""

    values: tuple[Value, ...]
    is_tuple: bool = False


@dataclass(frozen=True, slots=True)
class Entries:
    """A dict with strings as keys."""

    entries: tuple[tuple[str, Value], ...]


Value: TypeAlias = Arg | VarRef | Const | Joined | Items | Entries


def mapped(value: Value, change: Callable[[Arg | VarRef], Value]) -> Value:
    """The value with its arguments and references replaced."""
    if isinstance(value, Arg | VarRef):
        return change(value)
    if isinstance(value, Joined):
        return Joined(tuple(mapped(part, change) for part in value.parts))
    if isinstance(value, Items):
        return replace(value, values=tuple(mapped(item, change) for item in value.values))
    if isinstance(value, Entries):
        return Entries(tuple((key, mapped(entry, change)) for key, entry in value.entries))
    return value


def references(value: Value) -> Iterator[Arg | VarRef]:
    """The arguments and references in a value."""
    if isinstance(value, Arg | VarRef):
        yield value
    elif isinstance(value, Joined):
        for part in value.parts:
            yield from references(part)
    elif isinstance(value, Items):
        for item in value.values:
            yield from references(item)
    elif isinstance(value, Entries):
        for _, entry in value.entries:
            yield from references(entry)


def evaluated(value: Value, look_up: Callable[[Arg | VarRef], Any]) -> Any:
    """The Python value, once everything it refers to is there.

    Raises:
        TypeError: a part of joined texts is no text.
    """
    if isinstance(value, Arg | VarRef):
        return look_up(value)
    if isinstance(value, Const):
        return value.value
    if isinstance(value, Joined):
        return "".join(as_text(evaluated(part, look_up), part) for part in value.parts)
    if isinstance(value, Items):
        items = [evaluated(item, look_up) for item in value.values]
        return tuple(items) if value.is_tuple else items
    return {key: evaluated(entry, look_up) for key, entry in value.entries}


def as_text(found: object, value: Value) -> str:
    """What a value is as text.

    Raises:
        TypeError: it is no string.
    """
    if isinstance(found, str):
        return found
    name = value.name if isinstance(value, Arg | VarRef) else "a value"
    raise TypeError(f"{name}: text is needed, not {type(found).__name__} {found!r:.60}; str() makes text of it")
