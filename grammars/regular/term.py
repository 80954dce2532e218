"""What all regular languages over characters have in common.

A language is made by `grammars.regular.language.Languages` alone, which gives equal terms one object. The kinds of
terms, each of which knows its own derivatives, are in `grammars.regular.kinds`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from grammars.regular.charset import CharSet
from grammars.regular.partition import Moves

if TYPE_CHECKING:
    from grammars.regular.language import Languages

__all__ = ["ClippableLeaf", "Language", "Leaf", "LeafOfAlphabet"]


class Leaf(Protocol):
    """An automaton's state that a language can be made of: hashable, equal if it is the same state."""

    @property
    def nullable(self) -> bool:
        """Whether the text may end here."""

    def moves(self) -> tuple[tuple[int, int, Leaf], ...]:
        """Ascending, disjoint ranges of code points and the state behind each, from which some text is accepted."""

    def __hash__(self) -> int: ...


@runtime_checkable
class LeafOfAlphabet(Protocol):
    """A leaf that knows a set in which all characters of its texts are, so that searches can leave it out."""

    @property
    def alphabet(self) -> CharSet:
        """That set."""


@runtime_checkable
class ClippableLeaf(Protocol):
    """A leaf that has counts which somebody who reads only the beginning of a text need not know."""

    def clipped(self, limit: int) -> Leaf:
        """A state that is the same for anybody who reads at most `limit` characters, as `Languages.clipped` says."""


class Language:
    """A set of texts. Immutable; equal terms of one arena are the same object.

    Attributes:
        arena: what made it.
        number: how many its arena had made before it.
        nullable: whether the empty text is in it.
        solid: whether neither it nor any of its derivatives can be empty, because it is made without intersection
            and complement.
        structural: whether it is solid and no automaton is in it, so that the lengths of its texts follow from its
            parts.
        bound: the largest finite bound of its repetitions outside intersections and complements; `sys.maxsize` with a
            leaf that can be clipped.
    """

    __slots__ = (
        "_empty",
        "_longest",
        "_moves",
        "_raw",
        "_shortest",
        "arena",
        "bound",
        "nullable",
        "number",
        "solid",
        "structural",
    )

    def __init__(self, arena: Languages, number: int, nullable: bool, parts: Sequence[Language] = ()) -> None:
        self.arena = arena
        self.number = number
        self.nullable = nullable
        solid, structural, bound = True, True, 0
        for part in parts:
            solid = solid and part.solid
            structural = structural and part.structural
            if part.bound > bound:
                bound = part.bound
        self.solid: bool = solid
        self.structural: bool = structural
        self.bound: int = bound
        self._raw: Moves | None = None
        self._moves: Moves | None = None
        self._empty: bool | None = False if nullable or self.solid else None
        self._shortest: int | None = None
        self._longest: int | None = -1

    def __repr__(self) -> str:
        return f"{type(self).__name__}#{self.number}"

    def _unknown(self) -> None:
        """Says that it and its derivatives may be empty, which only a search finds out."""
        self.solid = self.structural = False
        self._empty = False if self.nullable else None

    def derive(self) -> Moves:
        """Computes the derivatives; some of the successors may be empty languages, but none is written as one."""
        raise NotImplementedError

    def raw_moves(self) -> Moves:
        """`moves`, save that successors may be empty where intersections or complements are involved."""
        if self._raw is None:
            self.arena.count_state()
            self._raw = self.derive()
        return self._raw

    def moves(self) -> Moves:
        """What may come next: ascending, disjoint ranges of code points, each with the language of what follows.

        Only successors that contain some text appear; neighbouring ranges with one successor are one range.

        Raises:
            GrammarLimit: whether a successor is empty could not be found out within the arena's limits.
        """
        if self._moves is None:
            raw = self.raw_moves()
            if self.solid or all(after.solid for _, _, after in raw):
                self._moves = raw
            else:
                is_empty = self.arena.is_empty
                self._moves = tuple(move for move in raw if not is_empty(move[2]))
        return self._moves

    def after(self, code: int) -> Language:
        """What may follow the character with that code point: the empty language where nothing may.

        The result may also be an empty language that is not written as one.
        """
        moves = self.raw_moves()
        index = bisect_right(moves, code, key=_first) - 1
        return moves[index][2] if index >= 0 and code <= moves[index][1] else self.arena.nothing

    def contains(self, text: str) -> bool:
        """Whether a text is in it."""
        here = self
        for char in text:
            here = here.after(ord(char))
        return here.nullable

    def measure(self, shortest: int, longest: int | None) -> None:
        """Notes how long its texts are."""
        self._shortest = shortest
        self._longest = longest

    @property
    def measured(self) -> bool:
        """Whether it is known how long its texts are."""
        return self._shortest is not None and self._longest != -1

    @property
    def known_empty(self) -> bool | None:
        """Whether it is empty, as far as anybody has found out."""
        return self._empty

    @known_empty.setter
    def known_empty(self, empty: bool) -> None:
        self._empty = empty

    @property
    def shortest(self) -> int:
        """Length of its shortest text in code points.

        Raises:
            InvalidSpec: the language is empty.
            GrammarLimit: it could not be found out within the arena's limits.
        """
        if self._shortest is None:
            self._shortest = self.arena.find_shortest(self)
        return self._shortest

    @property
    def longest(self) -> int | None:
        """Length of its longest text in code points; None without bound.

        Raises:
            InvalidSpec: the language is empty.
            GrammarLimit: it could not be found out within the arena's limits.
        """
        if self._longest == -1:
            self._longest = self.arena.find_longest(self)
        return self._longest


def _first(move: tuple[int, int, Language]) -> int:
    return move[0]
