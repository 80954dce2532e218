"""Conversion: words of the command line become values of annotated types."""

from __future__ import annotations

import enum
import inspect
import types
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, Union, get_args, get_origin

__all__ = ["convert", "describe", "element", "gather"]

Members: TypeAlias = dict[str, Any]

TRUE = ("true", "yes", "on", "1")
FALSE = ("false", "no", "off", "0")
NAMES = {int: "an integer", float: "a number", bool: "true or false", str: "text", Path: "a path"}
MANY: dict[Any, Callable[[Iterable[Any]], Any]] = {
    list: list, tuple: tuple, set: set, frozenset: frozenset,
    Sequence: list, Iterable: list, Collection: list,
}  # fmt: skip


def convert(text: str, annotation: Any) -> Any:
    """The value of a word.

    Raises:
        ValueError: it is none of the type; the message says what is allowed.
    """
    if annotation in (str, Any, inspect.Parameter.empty):
        return text
    try:
        return _converted(text, annotation)
    except ValueError:
        raise ValueError(f"{text!r} is not allowed: {describe(annotation)}") from None


def _converted(text: str, annotation: Any) -> Any:
    if annotation is bool:
        return _truth(text)
    if annotation in (int, float, Path):
        return annotation(text)
    if (options := _options(annotation)) is not None:
        if text not in options:
            raise ValueError(text)
        return options[text]
    if members := _members(annotation):
        return _first(text, members)
    from pydantic import TypeAdapter  # everything else is written as JSON

    return TypeAdapter(annotation).validate_json(text)


def _truth(text: str) -> bool:
    if text.lower() not in (*TRUE, *FALSE):
        raise ValueError(text)
    return text.lower() in TRUE


def _options(annotation: Any) -> Members | None:
    """The words an annotation lists, with what they mean."""
    if get_origin(annotation) is Literal:
        return {str(value): value for value in get_args(annotation)}
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        by_name: Members = {member.name: member for member in annotation}
        return by_name | {str(member.value): member for member in annotation}
    return None


def _members(annotation: Any) -> list[Any]:
    """The types of a union, text last: it would take everything."""
    if get_origin(annotation) not in (Union, types.UnionType):
        return []
    return sorted(get_args(annotation), key=lambda member: member is str)


def _first(text: str, members: Sequence[Any]) -> Any:
    if type(None) in members and text.lower() == "none":
        return None
    for member in members:
        if member is type(None):
            continue
        try:
            return convert(text, member)
        except ValueError:
            continue
    raise ValueError(text)


def element(annotation: Any) -> Any:
    """What the members of a list, tuple, set or sequence are; None when the annotation is none of those."""
    for member in _members(annotation) or [annotation]:
        origin = get_origin(member) or member
        inner = [one for one in get_args(member) if one is not Ellipsis]
        if origin in MANY and len(set(inner)) <= 1:
            return inner[0] if inner else str
    return None


def gather(values: Iterable[Any], annotation: Any) -> Any:
    """Values as the list, tuple or set that an annotation asks for."""
    for member in _members(annotation) or [annotation]:
        origin = get_origin(member) or member
        if origin in MANY:
            return MANY[origin](values)
    return list(values)


def describe(annotation: Any) -> str:
    """What is allowed, in words."""
    if annotation in NAMES:
        return NAMES[annotation]
    if annotation in (Any, inspect.Parameter.empty):
        return "text"
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return "one of " + ", ".join(str(member.value) for member in annotation)
    if (options := _options(annotation)) is not None:
        return "one of " + ", ".join(options)
    if (inner := element(annotation)) is not None:
        return f"one or more of: {describe(inner)}"
    if members := _members(annotation):
        return " or ".join("none" if member is type(None) else describe(member) for member in members)
    return f"JSON for {getattr(annotation, '__name__', annotation)}"
