"""Lark grammars that people want, each with texts it accepts and refuses."""

from __future__ import annotations

import tomllib
from importlib import resources

from grammars.errors import InvalidSpec
from grammars.spec import Lark

__all__ = ["examples", "library_grammar", "names"]


def names() -> tuple[str, ...]:
    """The grammars there are, in alphabetical order."""
    files = (entry.name for entry in resources.files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(".lark") for name in files if name.endswith(".lark")))


def library_grammar(name: str) -> Lark:
    """A grammar by its name.

    Raises:
        InvalidSpec: there is no such grammar.
    """
    return Lark(_read(name, "lark"))


def examples(name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Texts that a grammar accepts, and texts that it refuses.

    Raises:
        InvalidSpec: there is no such grammar.
    """
    lists = tomllib.loads(_read(name, "examples.toml"))
    return tuple(lists["accept"]), tuple(lists["reject"])


def _read(name: str, ending: str) -> str:
    if name not in names():
        raise InvalidSpec(f"library: {name!r} is not one of {', '.join(names())}")
    return resources.files(__name__).joinpath(f"{name}.{ending}").read_text(encoding="utf-8")
