"""Symbols: what stands for an argument or a generated value while a program is traced.

A symbol can be appended, concatenated, passed on and returned. Whatever would need its value raises `TraceError`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from sgdsl.errors import TraceError
from sgdsl.ir.nodes import Arg, Text, VarRef
from sgdsl.ir.values import Const, Entries, Items, Joined, Value
from sgdsl.primitives import Expr
from sgdsl.source import is_program, reader

__all__ = ["Opaque", "Symbol", "has_symbols", "symbol", "template"]

_NEEDS_VALUE = {
    "__bool__": "a branch on",
    "__eq__": "a comparison with",
    "__ne__": "a comparison with",
    "__lt__": "a comparison with",
    "__le__": "a comparison with",
    "__gt__": "a comparison with",
    "__ge__": "a comparison with",
    "__hash__": "a look-up by",
    "__str__": "a string made of",
    "__format__": "a string made of",
    "__mod__": "a string made of",
    "__rmod__": "a string made of",
    "__mul__": "arithmetic with",
    "__rmul__": "arithmetic with",
    "__sub__": "arithmetic with",
    "__rsub__": "arithmetic with",
    "__int__": "a number made of",
    "__float__": "a number made of",
    "__index__": "a number made of",
    "__len__": "the length of",
    "__iter__": "a loop over",
    "__contains__": "a search in",
    "__getitem__": "a part of",
    "__call__": "a call of",
}

C = TypeVar("C", bound=type)


def _trapped(cls: C) -> C:
    """Gives a class of symbols the operations that need the value, each of which raises."""

    def trap(use: str) -> Callable[..., NoReturn]:
        def refuse(self: Any, *_: object, **__: object) -> NoReturn:
            raise _refusal(use, self.value)

        return refuse

    def attribute(self: Any, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise _refusal(f"{name!r} of", self.value)

    for name, use in _NEEDS_VALUE.items():
        setattr(cls, name, trap(use))
    cls.__getattr__ = attribute  # type: ignore[attr-defined]
    return cls


def _shown_class(self: Any) -> type:
    """What `isinstance` asks for where the type is another one: a program would be told what is not so in a run."""
    if is_program(sys._getframe(1).f_code.co_filename):
        raise _refusal("a test of the type of", self.value)
    return type(self)


def _refusal(use: str, value: Value) -> TraceError:
    kind = "argument" if isinstance(value, Arg) else "value"
    hint = "compile(name=value) fixes it" if isinstance(value, Arg) else "compile(partial=True) ends the graph here"
    name = getattr(value, "name", "") or "another program's"
    return TraceError(f"{use} the {kind} {name!r} needs what is there only when the program runs", reader(), hint)


@_trapped
@dataclass(frozen=True, slots=True, eq=False)
class Symbol(Expr):
    """Text that is not there yet. As an expression it is the instruction that appends it."""

    value: Arg | VarRef
    __class__ = property(_shown_class)

    def __repr__(self) -> str:
        return f"<symbol {self.value.name!r}>"


@_trapped
@dataclass(frozen=True, slots=True, eq=False)
class Opaque:
    """A value that is not there yet, and is no text: it can be returned and passed on."""

    value: Arg | VarRef
    __class__ = property(_shown_class)

    def __repr__(self) -> str:
        return f"<symbol {self.value.name!r}>"


def symbol(value: Arg | VarRef) -> Symbol:
    """The symbol of an argument or of generated text."""
    return Symbol((value,), value)


def has_symbols(value: object) -> bool:
    """Whether something not there yet is in it."""
    if isinstance(value, Symbol | Opaque):
        return True
    if isinstance(value, Expr):
        return any(isinstance(node, Arg | VarRef) for node in value.nodes)
    if isinstance(value, dict):
        return any(has_symbols(one) for one in value.values())
    return isinstance(value, list | tuple) and any(has_symbols(one) for one in value)


def template(value: object) -> Value:
    """A Python value with symbols in it, as a graph keeps it.

    Raises:
        TraceError: a graph cannot keep such a value.
    """
    if isinstance(value, Symbol | Opaque):
        return value.value
    if isinstance(value, Expr):
        return Joined(tuple(_part(node) for node in value.nodes))
    if value is None or isinstance(value, bool | int | float | str):
        return Const(value)
    if isinstance(value, list | tuple):
        return Items(tuple(template(one) for one in value), isinstance(value, tuple))
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return Entries(tuple((key, template(one)) for key, one in value.items()))
    raise TraceError(f"a graph cannot keep a {type(value).__name__}: texts, numbers, lists and dicts are", reader())


def _part(node: object) -> Value:
    if isinstance(node, Arg | VarRef):
        return node
    if isinstance(node, Text):
        return Const(node.text)
    raise TraceError("a graph cannot keep an expression with instructions as a value: append it to a state", reader())
