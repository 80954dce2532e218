"""TypedDicts: before Python 3.12 pydantic takes only those of typing_extensions, so the standard ones are remade."""

from __future__ import annotations

import functools
import operator
import sys
import types
import typing
from typing import Any

__all__ = ["portable"]


def portable(kind: Any) -> Any:
    """The same type with every `typing.TypedDict` in it, within containers and unions too, in pydantic's form."""
    if sys.version_info >= (3, 12):
        return kind
    if typing.is_typeddict(kind):
        return _remade(kind)
    arguments = typing.get_args(kind)
    origin = typing.get_origin(kind)
    if origin is None or origin is typing.Literal or not any(_holds_typed_dict(one) for one in arguments):
        return kind
    remade = tuple(portable(one) for one in arguments)
    if origin in (typing.Union, types.UnionType):
        return functools.reduce(operator.or_, remade)
    return kind.copy_with(remade) if hasattr(kind, "copy_with") else origin[remade]


def _holds_typed_dict(kind: Any) -> bool:
    return typing.is_typeddict(kind) or any(_holds_typed_dict(one) for one in typing.get_args(kind))


def _remade(kind: Any) -> Any:
    import typing_extensions

    hints = typing.get_type_hints(kind, include_extras=True)
    fields: dict[str, Any] = {}
    for name, hint in hints.items():
        if typing.get_origin(hint) in (typing.Required, typing.NotRequired):
            (hint,) = typing.get_args(hint)
        fields[name] = portable(hint) if name in kind.__required_keys__ else typing.NotRequired[portable(hint)]
    return typing_extensions.TypedDict(kind.__name__, fields)  # type: ignore[operator]
