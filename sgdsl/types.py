"""Types: from a Python type to the constraint its text must follow, and from the text back to a value."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from sgdsl.errors import InvalidArgument
from sgdsl.typed_dicts import portable

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from grammars.spec import JsonSchema, Spec

__all__ = ["DTYPES", "Typed", "dtype_pattern", "typed"]

DTYPES: dict[type, str] = {
    int: r"[-+]?[0-9]+",
    float: r"[-+]?[0-9]+(\.[0-9]+)?",
    bool: r"(True|False)",
    str: r'"[^"\\\n\r\t]*"',
}
"""Patterns of `dtype=`: the value stays the text."""

_INT = r"(0|-?[1-9][0-9]*)"
_FLOAT = r"-?(0|[1-9][0-9]*)(\.[0-9]+)?"


@dataclass(frozen=True, slots=True)
class Typed:
    """A Python type as a constraint and a parser.

    Attributes:
        type: the type asked for.
        constraint: what its text looks like; None when any text is a value (`str`).
        parse: text → value; raises ValueError when the text is no value of the type.
    """

    type: Any
    constraint: Spec | None
    parse: Callable[[str], Any]


def dtype_pattern(dtype: object, stop: tuple[str, ...]) -> str:
    """The pattern of a `dtype`, after which any of the `stop` strings may end the text.

    Raises:
        InvalidArgument: the dtype is none of int, float, bool, str, nor the name of one.
    """
    if isinstance(dtype, str):
        dtype = {known.__name__: known for known in DTYPES}.get(dtype, dtype)
    if not isinstance(dtype, type) or dtype not in DTYPES:
        raise InvalidArgument(f"dtype={dtype!r} is not allowed: int, float, bool or str")
    return DTYPES[dtype] + (f"({'|'.join(_escaped(text) for text in stop)})?" if stop else "")


def _escaped(text: str) -> str:
    named = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
    return "".join(named.get(c, "\\" + c if c in r"\.^$*+?{}[]|()-/" else c) for c in text)


def typed(kind: Any) -> Typed:
    """The constraint and parser of a type.

    int, float, bool, str, `Literal` and `Enum` are written bare; everything else as JSON.

    Raises:
        InvalidArgument: no JSON schema can be made of the type, its bare values are written alike, or nothing holds a
            text to it.
    """
    from grammars.spec import Regex

    if kind in (object, complex):
        raise InvalidArgument(f"type={kind!r} is not allowed: JSON has no such value")
    if kind is bool:
        return _options(kind, {"True": True, "False": False})
    if kind is int:
        return Typed(kind, Regex(_INT), int)
    if kind is float:
        return Typed(kind, Regex(_FLOAT), float)
    if kind is str:
        return Typed(kind, None, str)
    if get_origin(kind) is Literal:
        return _bare(kind, list(get_args(kind)))
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _bare(kind, [(member.value, member) for member in kind])
    return _json(kind)


def _bare(kind: Any, values: list[Any]) -> Typed:
    pairs = [value if isinstance(value, tuple) else (_plain(value), value) for value in values]
    texts = {str(written): value for written, value in pairs}
    if len(texts) < len(pairs):
        raise InvalidArgument(f"type={kind!r} is not allowed: two of its values are written alike")
    return _options(kind, texts)


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, enum.Enum) else value


def _options(kind: Any, texts: dict[str, Any]) -> Typed:
    from grammars.spec import Choice

    def parse(text: str) -> Any:
        if text not in texts:
            raise ValueError(f"{text!r} is none of {', '.join(texts)}")
        return texts[text]

    return Typed(kind, Choice(tuple(texts)), parse)


def _json(kind: Any) -> Typed:
    try:
        adapter, schema = _adapter(kind)
    except TypeError as error:
        if "unhashable" not in str(error):
            raise
        adapter, schema = _adapter.__wrapped__(kind)
    return Typed(kind, schema, adapter.validate_json)


def _closed(schema: Any) -> Any:
    """The schema with its objects closed: a type drops further properties, and models left free to write go on to."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: value if key in ("const", "enum", "default") else _closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed


@lru_cache(maxsize=256)
def _adapter(kind: Any) -> tuple[TypeAdapter[Any], JsonSchema]:
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticUserError

    from grammars.spec import JsonSchema

    try:
        adapter: TypeAdapter[Any] = TypeAdapter(portable(kind))
        return adapter, JsonSchema.of(_closed(adapter.json_schema()))
    except PydanticUserError as error:
        allowed = "int, float, bool, str, Literal, Enum, list, dict, Union, dataclasses, TypedDicts and pydantic models"
        raise InvalidArgument(f"type={kind!r} is not allowed: {allowed} are, and what is made of them") from error
