"""ApiKey: checked before it goes into a header, and kept out of every message."""

from __future__ import annotations

from runtime.errors import RequestError
from sgdsl.errors import InvalidArgument

__all__ = ["check_api_key", "veiled"]

SHORTEST_SECRET = 8
"""What is shorter is a word that stands in for a key where a server asks for none."""


def check_api_key(key: object, name: str = "api_key") -> None:
    """Refuses a key that no header can carry, such as one read from a file with its line break.

    Args:
        key: text; None and functions that will give one are let through.
        name: the argument's, or the variable's it came from.

    Raises:
        InvalidArgument: it cannot be sent. The key is not shown.
    """
    if key is None or callable(key):
        return
    if not isinstance(key, str):
        raise InvalidArgument(f"{name} of type {type(key).__name__} is not allowed: a string")
    if not key.isascii() or not key.isprintable() or key != key.strip():
        raise InvalidArgument(
            f"{name} (which is not shown) is not allowed: printable ASCII only, no blanks or line breaks around it"
        )


def veiled(error: Exception, key: object) -> Exception:
    """The error; where it, or what led to it, shows the key, another one that says the same without it."""
    if not isinstance(key, str) or len(key) < SHORTEST_SECRET:
        return error
    found: BaseException | None = error
    seen: set[int] = set()
    while found is not None and id(found) not in seen:
        if key in str(found) or key in repr(found):
            return RequestError(f"{type(error).__name__}: {str(error).replace(key, '…')}")
        seen.add(id(found))
        found = found.__cause__ or found.__context__
    return error
