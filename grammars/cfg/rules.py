"""Plain context-free rules: what every front end of this package ends in, and what the machine runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from grammars.regular.language import Language
    from grammars.spec import JsonSchema

__all__ = ["Call", "Embedded", "Production", "Rules", "Special", "Symbol", "Terminal"]


@dataclass(frozen=True, slots=True)
class Terminal:
    """A raw text of a language.

    `greedy`: the text ends only where the next character could not continue it to a longer one; otherwise it may end
    wherever the language accepts.
    """

    language: Language
    greedy: bool


@dataclass(frozen=True, slots=True)
class Call:
    """A text derived from another rule."""

    rule: str


@dataclass(frozen=True, slots=True)
class Embedded:
    """A JSON document of a schema."""

    spec: JsonSchema


@dataclass(frozen=True, slots=True)
class Special:
    """One special token, by its text."""

    name: str


Symbol: TypeAlias = Terminal | Call | Embedded | Special
Production: TypeAlias = tuple[Symbol, ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """A grammar the machine can run from left to right.

    Every rule is reachable from `start` and derives some text, and no chain of calls comes back to a rule without
    having read a character: there is no left recursion, hidden or not.
    """

    start: str
    productions: Mapping[str, tuple[Production, ...]]
    warnings: tuple[str, ...] = ()
