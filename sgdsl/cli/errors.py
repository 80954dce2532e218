"""What the command line itself refuses; each carries its exit code."""

from __future__ import annotations

__all__ = ["CommandError", "UsageError"]


class CommandError(Exception):
    """A command cannot do what it was asked; the message is one line."""

    code = 1


class UsageError(CommandError):
    """It was asked wrongly."""

    code = 2
