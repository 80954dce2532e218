"""Checks of what the fields of a spec hold."""

from __future__ import annotations

from grammars.errors import InvalidSpec

__all__ = ["check_flag", "check_one_of", "check_text", "check_tuple"]


def check_one_of(field: str, value: object, allowed: tuple[str, ...]) -> None:
    """A value is one of some texts.

    Raises:
        InvalidSpec: otherwise; names field and value.
    """
    if value not in allowed:
        raise InvalidSpec(f"{field}: {value!r} is not one of {', '.join(allowed)}")


def check_text(field: str, value: object, *, empty: bool = False) -> None:
    """A value is a string, and not an empty one unless `empty`.

    Raises:
        InvalidSpec: otherwise; names field and value.
    """
    if not isinstance(value, str) or not (value or empty):
        raise InvalidSpec(f"{field}: {value!r} is not a {'' if empty else 'non-empty '}string")


def check_tuple(field: str, value: object, *, least: int = 1) -> None:
    """A value is a tuple of at least `least`.

    Raises:
        InvalidSpec: otherwise; names field and value.
    """
    if not isinstance(value, tuple) or len(value) < least:
        raise InvalidSpec(f"{field}: {value!r} is not a tuple of at least {least}")


def check_flag(field: str, value: object) -> None:
    """A value is a boolean.

    Raises:
        InvalidSpec: otherwise; names field and value.
    """
    if not isinstance(value, bool):
        raise InvalidSpec(f"{field}: {value!r} is not a boolean")
