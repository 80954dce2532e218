"""The kinds of regular languages, each with its derivatives (Brzozowski, doi:10.1145/321239.321249).

How terms are simplified while they are made is not known here, but in `grammars.regular.simplify`.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Container, Hashable
from typing import TYPE_CHECKING

from grammars.regular.partition import Moves, cover, joined, mapped, overlaid
from grammars.regular.term import Language, Leaf

if TYPE_CHECKING:
    from grammars.regular.language import Languages

__all__ = [
    "Chars",
    "Complement",
    "Concat",
    "Epsilon",
    "Intersection",
    "LeafTerm",
    "Loop",
    "Repeat",
    "TextSet",
    "Texts",
    "Union",
    "subterms",
]


class Epsilon(Language):
    """The empty text alone."""

    __slots__ = ()

    def __init__(self, arena: Languages, number: int) -> None:
        super().__init__(arena, number, nullable=True)

    def derive(self) -> Moves:
        """No character follows."""
        return ()


class Chars(Language):
    """One character out of a set; no text at all when the set is empty."""

    __slots__ = ("ranges",)

    def __init__(self, arena: Languages, number: int, ranges: tuple[tuple[int, int], ...]) -> None:
        super().__init__(arena, number, nullable=False)
        self.ranges = ranges
        if not ranges:
            self.solid = self.structural = False
            self._empty = True

    def derive(self) -> Moves:
        """After any of the characters nothing more."""
        end = self.arena.epsilon
        return tuple((low, high, end) for low, high in self.ranges)


class TextSet:
    """A finite set of texts, sorted; one object for each set."""

    __slots__ = ("texts",)

    def __init__(self, texts: tuple[str, ...]) -> None:
        self.texts = texts


class Texts(Language):
    """The rests of some texts: those of `low` .. `high` - 1 of a sorted set, each without its first `depth` characters.

    All of them begin with the same `depth` characters.
    """

    __slots__ = ("depth", "high", "low", "set")

    def __init__(self, arena: Languages, number: int, texts: TextSet, low: int, high: int, depth: int) -> None:
        super().__init__(arena, number, nullable=len(texts.texts[low]) == depth)
        self.set = texts
        self.low = low
        self.high = high
        self.depth = depth

    def derive(self) -> Moves:
        """One successor for each character that comes at `depth`."""
        texts, depth, high = self.set.texts, self.depth, self.high
        low = self.low + self.nullable
        pieces = []
        while low < high:
            char = texts[low][depth]
            end = bisect_right(texts, char, low + 1, high, key=lambda text: text[depth])
            pieces.append((ord(char), ord(char), self.arena.slice_texts(self.set, low, end, depth + 1)))
            low = end
        return joined(pieces)

    def rests(self) -> list[str]:
        """The texts."""
        return [text[self.depth :] for text in self.set.texts[self.low : self.high]]


class LeafTerm(Language):
    """What an automaton accepts from one of its states."""

    __slots__ = ("leaf",)

    def __init__(self, arena: Languages, number: int, leaf: Leaf) -> None:
        super().__init__(arena, number, leaf.nullable)
        self.structural = False
        self.leaf = leaf
        if hasattr(leaf, "clipped"):
            # How far it counts only the leaf knows.
            self.bound = sys.maxsize

    def derive(self) -> Moves:
        """The automaton's own moves."""
        return joined((low, high, self.arena.make_leaf(after)) for low, high, after in self.leaf.moves())


class Concat(Language):
    """A text of `head`, then one of `tail`. The head is no concatenation itself."""

    __slots__ = ("head", "tail")

    def __init__(self, arena: Languages, number: int, head: Language, tail: Language) -> None:
        super().__init__(arena, number, head.nullable and tail.nullable, (head, tail))
        self.head = head
        self.tail = tail

    def derive(self) -> Moves:
        """Those of the head before the tail; those of the tail too, where the head may be empty."""
        parts: list[Moves] = []
        here: Language = self
        while isinstance(here, Concat):
            parts.append(_before(self.arena, here.head.raw_moves(), here.tail))
            if not here.head.nullable:
                return _united(self.arena, parts)
            here = here.tail
        return _united(self.arena, [*parts, here.raw_moves()])


class Repeat(Language):
    """`low` to `high` texts of `item`, one after another; without end when `high` is None.

    `low` is 0 where the item may be empty.
    """

    __slots__ = ("high", "item", "low")

    def __init__(self, arena: Languages, number: int, item: Language, low: int, high: int | None) -> None:
        super().__init__(arena, number, low == 0, (item,))
        self.bound = max(self.bound, low, high or 0)
        self.item = item
        self.low = low
        self.high = high

    def derive(self) -> Moves:
        """Those of one item before the remaining ones."""
        high = None if self.high is None else self.high - 1
        rest = self.arena.repeat(self.item, max(self.low - 1, 0), high)
        return _before(self.arena, self.item.raw_moves(), rest)


class Union(Language):
    """Texts of any of the items."""

    __slots__ = ("items",)

    def __init__(self, arena: Languages, number: int, items: tuple[Language, ...]) -> None:
        super().__init__(arena, number, any(item.nullable for item in items), items)
        self.items = items
        if any(item.known_empty is False for item in items):
            self._empty = False

    def derive(self) -> Moves:
        """Those of all items, laid over each other."""
        return _united(self.arena, [item.raw_moves() for item in self.items])


class Intersection(Language):
    """Texts of all of the items."""

    __slots__ = ("items",)

    def __init__(self, arena: Languages, number: int, items: tuple[Language, ...]) -> None:
        super().__init__(arena, number, all(item.nullable for item in items))
        self._unknown()
        self.items = items

    def derive(self) -> Moves:
        """Those that all items have."""
        arena, count = self.arena, len(self.items)

        def combine(afters: tuple[Language, ...]) -> Language | None:
            both = arena.intersect(*afters) if len(afters) == count else arena.nothing
            return None if both is arena.nothing else both

        return overlaid([item.raw_moves() for item in self.items], combine)


class Complement(Language):
    """All texts that are none of the item's."""

    __slots__ = ("item",)

    def __init__(self, arena: Languages, number: int, item: Language) -> None:
        super().__init__(arena, number, not item.nullable)
        self._unknown()
        self.item = item

    def derive(self) -> Moves:
        """The complements of the item's; anything after a character that the item cannot begin with."""
        arena = self.arena

        def change(after: Language) -> Language | None:
            other = arena.complement(after)
            return None if other is arena.nothing else other

        return cover(self.item.raw_moves(), change, arena.everything)


class Loop(Language):
    """A language that is described with its own help, as what a repeated lookahead leaves of a text is.

    Attributes:
        definition: the language it is, in which it stands behind characters alone. Set once, right after it is made.
    """

    __slots__ = ("definition",)

    def __init__(self, arena: Languages, number: int, key: Hashable, nullable: bool) -> None:
        super().__init__(arena, number, nullable)
        self._unknown()
        self.definition: Language | None = None

    def derive(self) -> Moves:
        """Those of its definition."""
        if self.definition is None:
            raise RuntimeError("a loop was asked for its moves before it was defined")
        return self.definition.raw_moves()


def subterms(language: Language, known: Container[Language] = ()) -> list[Language]:
    """What a language is put together from by concatenation, repetition and union, it being last; parts come first.

    Without recursion, for terms may be nested deeply. What is `known` is left out, with its parts.
    """
    out: list[Language] = []
    waiting, seen = [language], set[Language]()
    while waiting:
        here = waiting.pop()
        if here in seen or here in known:
            continue
        seen.add(here)
        out.append(here)
        if isinstance(here, Concat):
            waiting += (here.head, here.tail)
        elif isinstance(here, Repeat):
            waiting.append(here.item)
        elif isinstance(here, Union):
            waiting += here.items
    # A part is made before what it is a part of.
    return sorted(out, key=lambda part: part.number)


def _united(arena: Languages, parts: list[Moves]) -> Moves:
    """What any of the parts allows."""
    return parts[0] if len(parts) == 1 else overlaid(parts, lambda afters: arena.union(*afters))


def _before(arena: Languages, moves: Moves, tail: Language) -> Moves:
    """`moves` with `tail` after each successor.

    A union is spread over the tail, so that what several ways lead to is recognised as the same (these are
    Antimirov's partial derivatives, doi:10.1016/0304-3975(95)00182-4); there are only as many as the term is long.
    """

    def change(after: Language) -> Language | None:
        if isinstance(after, Union):
            joint = arena.union(*(arena.concat(item, tail) for item in after.items))
        else:
            joint = arena.concat(after, tail)
        return None if joint is arena.nothing else joint

    return mapped(moves, change)
