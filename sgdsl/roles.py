"""Roles: chat messages as expressions."""

from __future__ import annotations

from sgdsl.ir import RoleBegin, RoleEnd
from sgdsl.primitives import Expr, expression

__all__ = [
    "assistant",
    "assistant_begin",
    "assistant_end",
    "system",
    "system_begin",
    "system_end",
    "user",
    "user_begin",
    "user_end",
]


def message(role: str, content: Expr | str | None) -> Expr:
    """One chat message; without content, an empty one."""
    return Expr((RoleBegin(role), *expression("" if content is None else content).nodes, RoleEnd(role)))


def system(expr: Expr | str | None = None) -> Expr:
    """A system message."""
    return message("system", expr)


def user(expr: Expr | str | None = None) -> Expr:
    """A user message."""
    return message("user", expr)


def assistant(expr: Expr | str | None = None) -> Expr:
    """An assistant message."""
    return message("assistant", expr)


def system_begin() -> Expr:
    """The beginning of a system message."""
    return Expr((RoleBegin("system"),))


def system_end() -> Expr:
    """The end of a system message."""
    return Expr((RoleEnd("system"),))


def user_begin() -> Expr:
    """The beginning of a user message."""
    return Expr((RoleBegin("user"),))


def user_end() -> Expr:
    """The end of a user message."""
    return Expr((RoleEnd("user"),))


def assistant_begin() -> Expr:
    """The beginning of an assistant message."""
    return Expr((RoleBegin("assistant"),))


def assistant_end() -> Expr:
    """The end of an assistant message."""
    return Expr((RoleEnd("assistant"),))
