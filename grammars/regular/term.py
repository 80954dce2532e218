"""Regular languages over characters, each kind with its derivatives.

A language is made by `grammars.regular.language.Languages` alone, which gives equal terms one object. A term knows its
own derivatives; how terms are simplified while they are made is the arena's business.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Protocol

from grammars.regular.partition import Moves, cover, joined, mapped, overlaid

if TYPE_CHECKING:
    from grammars.regular.language import Languages

__all__ = [
    "Chars",
    "Complement",
    "Concat",
    "Epsilon",
    "Intersection",
    "Language",
    "Leaf",
    "LeafTerm",
    "Loop",
    "Repeat",
    "TextSet",
    "Texts",
    "Union",
]


class Leaf(Protocol):
    """An automaton's state that a language can be made of: hashable, equal if it is the same state."""

    @property
    def nullable(self) -> bool:
        """Whether the text may end here."""

    def moves(self) -> tuple[tuple[int, int, Leaf], ...]:
        """Ascending, disjoint ranges of code points and the state behind each, from which some text is accepted."""

    def __hash__(self) -> int: ...


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
        bound: the largest finite bound of its repetitions outside intersections and complements.
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
        self.solid: bool = all(part.solid for part in parts)
        self.structural: bool = all(part.structural for part in parts)
        self.bound: int = max((part.bound for part in parts), default=0)
        self._raw: Moves | None = None
        self._moves: Moves | None = None
        self._empty: bool | None = False if nullable or self.solid else None
        self._shortest: int | None = None
        self._longest: int | None = -1

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

    def derive(self) -> Moves:
        """The automaton's own moves."""
        return joined((low, high, self.arena.leaf(after)) for low, high, after in self.leaf.moves())


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
