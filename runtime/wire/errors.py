"""Errors on the wire: an exception as a message says it, and the exception of the same type on the other side."""

from __future__ import annotations

import json
from typing import Any

import msgspec

import grammars.errors
import runtime.errors
from runtime.errors import EngineError
from runtime.sendable import Sendable

__all__ = ["Problem", "ProtocolError", "error_of", "problem_of"]


class ProtocolError(EngineError):
    """The other side said something that the protocol has no meaning for."""


class Problem(Sendable, frozen=True):
    """What went wrong.

    Attributes:
        kind: name of an exception class of `runtime.errors` or `grammars.errors`, or of another one.
        message: for people.
        param: the field that has a value which is not allowed, where that is the matter.
        value: that value, where JSON can hold it; its `repr` otherwise.
    """

    kind: str
    message: str
    param: str | None = None
    value: Any = None


def problem_of(error: BaseException) -> Problem:
    """An exception as it is sent."""
    name = type(error).__name__
    message = (str(error) or name).encode(errors="backslashreplace").decode()  # a half of a character cannot be sent
    return Problem(name, message, getattr(error, "field", None), _sendable(getattr(error, "value", None)))


def _sendable(value: Any) -> Any:
    try:
        json.dumps(value, allow_nan=False)
        msgspec.msgpack.encode(value)  # is stricter with halves of characters and large integers
    except (TypeError, ValueError, OverflowError, RecursionError):
        return repr(value).encode(errors="backslashreplace").decode()
    return value


def error_of(problem: Problem) -> Exception:
    """The exception that was sent: of the same class with the same message, or an EngineError that names its class."""
    kind = _kind(problem.kind)
    if kind is None:
        return EngineError(f"{problem.kind}: {problem.message}")
    error: Exception = kind.__new__(kind, problem.message)  # the message is made already, and some make it themselves
    if problem.param is not None:
        vars(error).update(field=problem.param, value=problem.value)
    return error


def _kind(name: str) -> type[Exception] | None:
    if name == ProtocolError.__name__:
        return ProtocolError
    for module in (runtime.errors, grammars.errors):
        if name in module.__all__:
            kind = getattr(module, name)
            if isinstance(kind, type) and issubclass(kind, Exception):
                return kind
    return None
