"""Symbols: what stands for an argument or a generated value while a program is traced.

A symbol can be appended, concatenated, passed on and returned. Whatever would need its value raises `TraceError`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol, TypeVar, cast

from sgdsl.errors import TraceError
from sgdsl.ir.nodes import Arg, Text, VarRef
from sgdsl.ir.values import Const, Entries, Items, Joined, Value, references
from sgdsl.primitives import Expr
from sgdsl.source import Source, reader

__all__ = ["Opaque", "Symbol", "Trace", "has_symbols", "is_symbol", "symbol", "template"]


class Trace(Protocol):
    """What a symbol belongs to."""

    is_over: bool

    def stop(self, error: TraceError) -> NoReturn:
        """Ends the trace with an error, and raises it."""


_NEEDS_VALUE = {
    "a branch on": "bool",
    "a comparison with": "eq ne lt le gt ge",
    "a look-up by": "hash",
    "a string made of": "str format bytes mod rmod fspath",
    "a number made of": "int float complex index round trunc floor ceil",
    "arithmetic with": "mul rmul sub rsub truediv rtruediv floordiv rfloordiv pow rpow neg pos abs and rand or ror",
    "the length of": "len",
    "a loop over": "iter reversed next",
    "a search in": "contains",
    "a part of": "getitem setitem delitem",
}

C = TypeVar("C", bound=type)


def _trapped(cls: C) -> C:
    """Gives a class of symbols the operations that need the value, each of which raises."""

    def trap(use: str) -> Callable[..., NoReturn]:
        def refuse(self: Any, *_: object, **__: object) -> NoReturn:
            _refuse(use, self)

        return refuse

    def attribute(self: Any, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        _refuse(f"{name!r} of", self)

    for use, names in _NEEDS_VALUE.items():
        for name in names.split():
            setattr(cls, f"__{name}__", trap(use))
    cls.__getattr__ = attribute  # type: ignore[attr-defined]
    cls.__copy__ = cls.__deepcopy__ = lambda self, *_: self  # type: ignore[attr-defined]  # as of a string
    return cls


def _refuse(use: str, of: Symbol | Opaque) -> NoReturn:
    """Ends the trace, even where the program catches what is raised here."""
    value = of._value
    found = [value, *references(value)]
    kind = "argument" if any(isinstance(one, Arg) for one in found) else "value"
    hint = "compile(name=value) fixes it" if kind == "argument" else "compile(partial=True) ends the graph here"
    name = next((one.name for one in found if isinstance(one, Arg | VarRef) and one.name), "another program's")
    needs = f"{use} the {kind} {name!r} needs what is there only when the program runs"
    of._trace.stop(TraceError(needs, reader(), hint))


def _class_of(of: Symbol | Opaque) -> type:
    """What `isinstance` asks for; when the trace is over, whoever looks at all that is in memory may have it."""
    return type(of) if of._trace.is_over else _refuse("the type of", of)


def _text_of(of: Symbol | Opaque) -> str:
    """Would become part of a text unseen, as `str([symbol])` does; when the trace is over, it only shows up in logs."""
    return f"<symbol of {of._value}>" if of._trace.is_over else _refuse("a string made of", of)


@_trapped
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Symbol(Expr):
    """Text that is not there yet. As an expression it is the instructions that append it.

    Attributes:
        _value: what it stands for.
        _trace: what made it.
    """

    _value: Value
    _trace: Trace

    __class__ = property(_class_of)
    __repr__ = _text_of

    def __add__(self, other: Expr | str) -> Expr:
        return _whole(Expr.__add__(self, other), self._trace)

    def __radd__(self, other: str) -> Expr:
        return _whole(Expr.__radd__(self, other), self._trace)


def _whole(expr: Expr, trace: Trace) -> Expr:
    """Text with text is text, and as little there; with an instruction it is an expression like any other."""
    if expr is NotImplemented or not all(isinstance(node, Text | Arg | VarRef) for node in expr.nodes):
        return expr
    return Symbol(expr.nodes, Joined(tuple(_part(node) for node in expr.nodes)), trace)


@_trapped
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Opaque:
    """A value that is not there yet, and is no text: it can be returned and passed on.

    Attributes:
        _value: what it stands for.
        _trace: what made it.
    """

    _value: Value
    _trace: Trace

    __class__ = property(_class_of)
    __repr__ = _text_of

    def __add__(self, other: object) -> NoReturn:
        _refuse("arithmetic with", self)

    __radd__ = __add__


def symbol(value: Arg | VarRef, trace: Trace) -> Symbol:
    """The symbol of an argument or of generated text."""
    return Symbol((value,), value, trace)


def is_symbol(value: object) -> bool:
    """Whether it is a symbol, which must not be asked for its class."""
    return type(value) in (Symbol, Opaque)


def has_symbols(value: object) -> bool:
    """Whether something not there yet is in it."""
    if is_symbol(value):
        return True
    if isinstance(value, Expr):
        return any(isinstance(node, Arg | VarRef) for node in value.nodes)
    if isinstance(value, dict):
        return any(has_symbols(one) for one in value.values())
    return isinstance(value, list | tuple) and any(has_symbols(one) for one in value)


def template(value: object, source: Source | None = None) -> Value:
    """A Python value with symbols in it, as a graph keeps it.

    Args:
        source: what an error names; the line that is executing, where none is given.

    Raises:
        TraceError: a graph cannot keep such a value.
    """
    if is_symbol(value):
        return cast("Symbol | Opaque", value)._value
    if isinstance(value, Expr) and all(isinstance(node, Text | Arg | VarRef) for node in value.nodes):
        return Joined(tuple(_part(node) for node in value.nodes))
    if value is None or isinstance(value, bool | int | float | str):
        return Const(value)
    if type(value) is list or type(value) is tuple:
        return Items(tuple(template(one, source) for one in value), type(value) is tuple)
    if type(value) is dict and all(type(key) is str for key in value):
        return Entries(tuple((key, template(one, source)) for key, one in value.items()))
    what = "an expression with instructions" if isinstance(value, Expr) else f"{type(value).__name__} {value!r:.60}"
    kept = "texts, numbers, lists, tuples and dicts with strings as keys are"
    raise TraceError(f"a graph cannot keep {what} as a value: {kept}", source or reader())


def _part(node: object) -> Value:
    return Const(node.text) if isinstance(node, Text) else cast("Arg | VarRef", node)
