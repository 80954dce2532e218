"""Host names and the local parts of mail addresses, whose length is limited as a whole: automata that count."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from grammars.regular.charset import CharSet
from grammars.regular.language import Leaf

__all__ = ["HostName", "LocalPart"]

Moves = tuple[tuple[int, int, Leaf], ...]
LETTERS_AND_DIGITS = ((0x30, 0x39), (0x41, 0x5A), (0x61, 0x7A))
HYPHEN, DOT, QUOTE, BACKSLASH = map(ord, '-."\\')
LABEL = 63
ATOM = tuple(sorted(ord(char) for char in "!#$%&'*+-/=?^_`{|}~"))
BEYOND_ASCII = ((0x80, 0x7FF, 2), (0x800, 0xD7FF, 3), (0xE000, 0xFFFF, 3), (0x10000, 0x10FFFF, 4))
"""Ranges of code points and how many octets each takes."""
HOST_CHARS = CharSet.chars("-.") | CharSet.of(LETTERS_AND_DIGITS)
PRINTABLE = CharSet.of([(0x20, 0x7E)])
ATOM_CHARS = HOST_CHARS | CharSet.of((char, char) for char in ATOM)
BEYOND = CharSet.of((low, high) for low, high, _ in BEYOND_ASCII)


@dataclass(frozen=True, slots=True)
class HostName:
    """In a host name (RFC 1123, section 2.1): labels of letters, digits and inner hyphens, at most 63 each.

    Args:
        left: how many characters may still come.
        label: how many of them the label at the end has.
        hyphen: whether it ends with a hyphen.
        tagged: whether labels may have `--` in third and fourth place, as punycode has.
    """

    left: int
    label: int = 0
    hyphen: bool = False
    tagged: bool = False

    @property
    def name(self) -> str:
        """What it is called in every arena."""
        return repr(self)

    @property
    def nullable(self) -> bool:
        """Whether the last label may end here."""
        return self.label > 0 and not self.hyphen

    @property
    def alphabet(self) -> CharSet:
        """What its characters are."""
        return HOST_CHARS

    def clipped(self, limit: int) -> HostName:
        """A state that is the same for who reads at most `limit` characters; two more let any label be completed."""
        return replace(self, left=min(self.left, limit + 2))

    def moves(self) -> Moves:
        """Another character of the label, or the dot in front of the next one."""
        moves: list[tuple[int, int, Leaf]] = []
        if self.label < LABEL and self.left > 0:
            if 0 < self.label < LABEL - 1 and self.left > 1 and (self.tagged or self.label != 3 or not self.hyphen):
                moves.append((HYPHEN, HYPHEN, HostName(self.left - 1, self.label + 1, True, self.tagged)))
            after = HostName(self.left - 1, self.label + 1, False, self.tagged)
            moves += ((low, high, after) for low, high in LETTERS_AND_DIGITS)
        if self.nullable and self.left > 1:
            moves.append((DOT, DOT, HostName(self.left - 1, 0, False, self.tagged)))
        return tuple(sorted(moves, key=_low))


@dataclass(frozen=True, slots=True)
class LocalPart:
    """In the local part of a mail address (RFC 5321, section 4.1.2), up to the `@`, at most 64 octets long.

    Args:
        left: how many octets may still come.
        place: "start", "atom" (the text may end), "dot" (an atom has to follow), "quoted", "escape" (behind `\\` in
            quotes) or "end" (behind the closing quote).
        international: whether there may be characters beyond ASCII (RFC 6531).
    """

    left: int
    place: str = "start"
    international: bool = False

    @property
    def name(self) -> str:
        """What it is called in every arena."""
        return repr(self)

    @property
    def nullable(self) -> bool:
        """Whether an atom or the quotes are complete."""
        return self.place in ("atom", "end")

    @property
    def alphabet(self) -> CharSet:
        """What the characters that may still come are."""
        beyond = BEYOND if self.international else CharSet(())
        return beyond | (ATOM_CHARS if self.place in ("atom", "dot") else PRINTABLE)

    def moves(self) -> Moves:
        """Another character that leaves room for what has to come behind it."""
        if self.place == "end":
            return ()
        if self.place == "escape":
            return self._into("quoted", [(0x20, 0x7E)], reserve=1)
        if self.place == "quoted":
            plain = [(0x20, 0x21), (0x23, 0x5B), (0x5D, 0x7E)]
            moves = [*self._into("quoted", plain, reserve=1), *self._beyond("quoted", reserve=1)]
            moves += [*self._into("end", [(QUOTE, QUOTE)]), *self._into("escape", [(BACKSLASH, BACKSLASH)], reserve=2)]
            return tuple(sorted(moves, key=_low))
        atom = [*((char, char) for char in ATOM), *LETTERS_AND_DIGITS]
        moves = [*self._into("atom", atom), *self._beyond("atom")]
        if self.place == "start":
            moves += self._into("quoted", [(QUOTE, QUOTE)], reserve=1)
        if self.place == "atom":
            moves += self._into("dot", [(DOT, DOT)], reserve=1)
        return tuple(sorted(moves, key=_low))

    def _into(self, place: str, ranges: Iterable[tuple[int, int]], reserve: int = 0, octets: int = 1) -> Moves:
        """The moves over characters of so many octets, if these and `reserve` more have room."""
        if self.left < octets + reserve:
            return ()
        after = LocalPart(self.left - octets, place, self.international)
        return tuple((low, high, after) for low, high in ranges)

    def _beyond(self, place: str, reserve: int = 0) -> Moves:
        ranges = BEYOND_ASCII if self.international else ()
        return tuple(move for low, high, octets in ranges for move in self._into(place, [(low, high)], reserve, octets))


def _low(move: tuple[int, int, Leaf]) -> int:
    return move[0]
