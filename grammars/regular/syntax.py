"""What a regular expression says, as a tree, whatever dialect it was written in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from grammars.regular.charset import CharSet

__all__ = [
    "EMPTY",
    "MAX_PATTERN_DEPTH",
    "MAX_PATTERN_LENGTH",
    "Alternation",
    "Characters",
    "Concatenation",
    "Look",
    "Node",
    "Place",
    "Position",
    "Repetition",
    "shown",
]

MAX_PATTERN_LENGTH = 200_000
"""Longest pattern that is read, in characters."""
MAX_PATTERN_DEPTH = 50
"""How deep groups may be nested."""


@dataclass(frozen=True, slots=True)
class Characters:
    """One character out of a set."""

    chars: CharSet

    def render(self) -> str:
        """As a regex that Python and Rust read alike."""
        return self.chars.render()


@dataclass(frozen=True, slots=True)
class Concatenation:
    """One item after another; the empty text when there is none."""

    items: tuple[Node, ...]

    def render(self) -> str:
        """As a regex that Python and Rust read alike."""
        return "".join(item.render() for item in self.items)


@dataclass(frozen=True, slots=True)
class Alternation:
    """Any one of the items."""

    items: tuple[Node, ...]

    def render(self) -> str:
        """As a regex that Python and Rust read alike."""
        return f"(?:{'|'.join(item.render() for item in self.items)})"


@dataclass(frozen=True, slots=True)
class Repetition:
    """The item `low` to `high` times; without end when `high` is None."""

    item: Node
    low: int
    high: int | None

    def render(self) -> str:
        """As a regex that Python and Rust read alike."""
        suffix = {(0, None): "*", (1, None): "+", (0, 1): "?"}.get((self.low, self.high))
        if suffix is None:
            suffix = f"{{{self.low},{'' if self.high is None else self.high}}}"
        return f"(?:{self.item.render()}){suffix}"


class Place(Enum):
    """Where in a text something is the case; the value is how it is written."""

    START = "^"
    END = "$"
    LAST_LINE_END = "$ in Python"
    """At the end, or before the newline that is the last character."""
    LINE_START = "(?m)^"
    LINE_END = "(?m)$"
    WORD_EDGE = r"\b"
    NO_WORD_EDGE = r"\B"


@dataclass(frozen=True, slots=True)
class Position:
    """No text, at a certain place."""

    place: Place

    def render(self) -> str:
        """Not to be asked for: `grammars.regular.pattern` takes positions out of what is rendered."""
        raise NotImplementedError(self.place.value)


@dataclass(frozen=True, slots=True)
class Look:
    """No text, where what follows begins with the item (what precedes ends with it), or does not, when `negated`."""

    item: Node
    behind: bool
    negated: bool

    def render(self) -> str:
        """Not to be asked for: `grammars.regular.pattern` refuses it."""
        raise NotImplementedError("lookaround")


Node: TypeAlias = Characters | Concatenation | Alternation | Repetition | Position | Look

EMPTY = Concatenation(())


def shown(pattern: str) -> str:
    """A pattern as messages show it."""
    return repr(pattern if len(pattern) <= 60 else pattern[:57] + "...")
