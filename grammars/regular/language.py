"""Regular languages over characters, explored by derivatives: the arena that makes them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar, cast

from grammars.deadline import Deadline
from grammars.errors import GrammarLimit, InvalidSpec
from grammars.regular import search, simplify
from grammars.regular.bounds import Bounds
from grammars.regular.charset import CharSet
from grammars.regular.clip import clipped
from grammars.regular.kinds import (
    Chars,
    Complement,
    Concat,
    Epsilon,
    Intersection,
    LeafTerm,
    Loop,
    Repeat,
    Texts,
    TextSet,
    Union,
)
from grammars.regular.naming import name_of
from grammars.regular.partition import ALPHABET
from grammars.regular.term import Language, Leaf

__all__ = ["Language", "Languages", "Leaf"]

FEW = 64
"""So many texts are looked at to see whether one character is left of each."""

_Kind = TypeVar("_Kind", bound=Language)


class Languages:
    """Makes languages, each of them once: two languages that are written the same are the same object.

    Not to be used by two threads at once; the languages it made belong to it, for they compute their moves with it.

    Args:
        max_states: how many languages are looked at to answer one question (whether one is empty, how long its texts
            are) before it is given up.
        max_items: how many items a union or intersection may have.
        deadline: when work ends; None for never. May be set later.
        base: a settled arena, whose languages this one has too and makes its own on top of; many may share one.
    """

    def __init__(
        self,
        *,
        max_states: int = 20_000,
        max_items: int = 20_000,
        deadline: Deadline | None = None,
        base: Languages | None = None,
    ) -> None:
        self.max_states = max_states
        self.max_items = max_items
        self.deadline = deadline
        self.num_states = 0
        self.bounds = Bounds()
        self._made: dict[Hashable, Language] = {} if base is None else base._made.copy()
        self._opposites: dict[Language, Language] = {}
        self._text_sets: dict[tuple[str, ...], TextSet] = {} if base is None else base._text_sets.copy()
        self.kept: dict[Hashable, Language] = {} if base is None else base.kept.copy()
        """Languages that whoever made them wants to find again, by what they were made from."""
        self._clipped: dict[tuple[Language, int], Language] = {}
        self.titles: dict[Language, tuple[Hashable, Callable[[Languages], Language]]] = {}
        """Of languages that many grammars have: what tells them apart in any arena, and what makes them there."""
        self._names: dict[Language, str] = {} if base is None else base._names.copy()
        self._undefined: set[Loop] = set()
        self.nothing: Language = self._make(Chars, ())
        self.epsilon: Language = self._make(Epsilon)
        self.any_char: Language = self._make(Chars, ALPHABET)
        self.everything: Language = self._make(Repeat, self.any_char, 0, None)
        self._opposites |= {self.nothing: self.everything, self.everything: self.nothing}

    def _make(self, kind: type[_Kind], *fields: Hashable) -> _Kind:
        key = (kind, *fields)
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = kind(self, len(self._made), *fields)  # type: ignore[arg-type]
        return cast(_Kind, found)

    def settle(self) -> None:
        """Finds out all about the languages made so far, so that other arenas, in any thread, may be based on this one.

        Nothing is to be made in it afterwards.
        """
        settled = 0
        while settled < len(self._made):
            for language in list(self._made.values())[settled:]:
                settled += 1
                language.moves()
                if not self.is_empty(language):
                    language.measure(language.shortest, language.longest)

    def count_state(self) -> None:
        """Called before derivatives are computed.

        Raises:
            GrammarTimeout: the deadline has passed.
            GrammarCancelled: nobody wants the result any more.
        """
        self.num_states += 1
        if self.deadline is not None and self.num_states % 16 == 0:
            self.deadline.check("regular language: the time limit has passed")

    def chars(self, chars: CharSet) -> Language:
        """One character out of a set."""
        return self._make(Chars, chars.ranges)

    def ranges(self, ranges: Iterable[tuple[int, int]]) -> Language:
        """One character out of inclusive ranges of code points, in any order."""
        return self._make(Chars, CharSet.of(ranges).ranges)

    def gaps(self, ranges: Sequence[tuple[int, int]]) -> Sequence[tuple[int, int]]:
        """The characters in none of some ascending ranges."""
        return CharSet(tuple(ranges)).complement().ranges

    def literal(self, text: str) -> Language:
        """That text alone; no text when there is a surrogate in it."""
        return self.literals((text,))

    def literals(self, texts: Iterable[str]) -> Language:
        """Some texts; those with a surrogate in them are left out, for nothing can be decoded to them."""
        ordered = tuple(sorted({text for text in texts if text.isascii() or not _has_surrogate(text)}))
        if not ordered:
            return self.nothing
        kept = self._text_sets.get(ordered)
        if kept is None:
            kept = self._text_sets[ordered] = TextSet(ordered)
        return self.slice_texts(kept, 0, len(ordered), 0)

    def slice_texts(self, texts: TextSet, low: int, high: int, depth: int) -> Language:
        """Texts `low` .. `high` - 1 of a set, which begin with the same `depth` characters, without these."""
        if high - low == 1:
            text = texts.texts[low]
            rest = len(text) - depth
            if rest == 0:
                return self.epsilon
            if rest == 1:
                return self._make(Chars, ((ord(text[-1]), ord(text[-1])),))
            if depth and rest <= 32:
                # Short endings are shared between the texts that have them.
                return self.literal(text[depth:])
        elif high - low <= FEW and all(len(text) == depth + 1 for text in texts.texts[low:high]):
            return self.ranges((ord(text[-1]), ord(text[-1])) for text in texts.texts[low:high])
        return self._make(Texts, texts, low, high, depth)

    def listed(self, language: Language, most: int) -> list[str] | None:
        """The texts of a language that is written as a list of at most `most` characters in all; else None."""
        if not isinstance(language, Texts):
            return None
        texts, length = language.set.texts, 0
        for text in texts[language.low : language.high]:
            length += len(text) - language.depth
            if length > most:
                return None
        return language.rests()

    def leaf(self, leaf: Leaf) -> Language:
        """What an automaton accepts from a state."""
        if not leaf.nullable and not leaf.moves():
            return self.nothing
        return self.make_leaf(leaf)

    def loop(self, key: Hashable, nullable: bool) -> Loop:
        """The language with that key, which the caller goes on to give its definition."""
        loop = self._make(Loop, key, nullable)
        if loop.definition is None:
            self._undefined.add(loop)
        return loop

    def define_loop(self, loop: Loop, definition: Language) -> None:
        """Says what a loop is: a language in which it stands behind characters alone."""
        if loop.definition is None:
            loop.definition = definition
            self._undefined.discard(loop)

    @property
    def explorable(self) -> bool:
        """Whether every loop has its definition, so that any language can be asked for its moves."""
        return not self._undefined

    def concat(self, *languages: Language) -> Language:
        """A text of each, one after another."""
        if not languages:
            return self.epsilon
        parts: list[Language] = []
        for language in languages[:-1]:
            while isinstance(language, Concat):
                parts.append(language.head)
                language = language.tail
            parts.append(language)
        out = languages[-1]
        for part in reversed(parts):
            out = simplify.chained(self, part, out)
        return out

    def union(self, *languages: Language) -> Language:
        """Texts of any of them."""
        if len(languages) == 1 or (len(languages) == 2 and languages[0] is languages[1]):
            return languages[0]
        return simplify.united(self, languages)

    def intersect(self, *languages: Language) -> Language:
        """Texts of all of them."""
        if len(languages) == 1 or (len(languages) == 2 and languages[0] is languages[1]):
            return languages[0]
        return simplify.intersected(self, languages)

    def complement(self, language: Language) -> Language:
        """Every text that is not in it."""
        found = self._opposites.get(language)
        if found is None:
            found = self._opposites[language] = simplify.opposite(self, language)
            self._opposites.setdefault(found, language)
        return found

    def repeat(self, language: Language, low: int, high: int | None) -> Language:
        """`low` to `high` of its texts one after another; without end when `high` is None.

        Raises:
            InvalidSpec: `low` is negative or greater than `high`.
        """
        if low < 0 or (high is not None and high < low):
            raise InvalidSpec(f"repeat: {low} to {high} times, must be 0 <= low <= high")
        return simplify.repeated(self, language, low, high)

    def make_concat(self, head: Language, tail: Language) -> Language:
        """That concatenation as it stands; for `simplify`."""
        return self._make(Concat, head, tail)

    def make_repeat(self, item: Language, low: int, high: int | None) -> Language:
        """That repetition as it stands; for `simplify`."""
        return item if (low, high) == (1, 1) else self._make(Repeat, item, low, high)

    def make_union(self, items: Iterable[Language]) -> Language:
        """That union as it stands; for `simplify`."""
        ordered = self._ordered(items)
        if len(ordered) < 2:
            return ordered[0] if ordered else self.nothing
        return self._make(Union, ordered)

    def make_intersection(self, items: Iterable[Language]) -> Language:
        """That intersection as it stands; for `simplify`."""
        ordered = self._ordered(items)
        if len(ordered) < 2:
            return ordered[0] if ordered else self.everything
        return self._make(Intersection, ordered)

    def make_leaf(self, leaf: Leaf) -> Language:
        """What an automaton accepts from a state from which it accepts some text, as those in `moves` are."""
        return self._make(LeafTerm, leaf)

    def make_complement(self, item: Language) -> Language:
        """That complement as it stands; for `simplify`."""
        return self._make(Complement, item)

    def _ordered(self, items: Iterable[Language]) -> tuple[Language, ...]:
        ordered = sorted(items, key=_number)
        if len(ordered) > self.max_items:
            raise GrammarLimit(f"regular language: {len(ordered)} alternatives at once, at most {self.max_items}")
        return tuple(ordered)

    def is_empty(self, language: Language) -> bool:
        """Whether no text is in it; exact.

        Raises:
            GrammarLimit: it could not be found out within `max_states` languages.
        """
        known = language.known_empty
        return search.search_empty(language, self.max_states) if known is None else known

    def find_shortest(self, language: Language) -> int:
        """`Language.shortest`."""
        self._refuse_empty(language)
        return search.find_shortest(language, self.max_states)

    def find_longest(self, language: Language) -> int | None:
        """`Language.longest`."""
        self._refuse_empty(language)
        return search.find_longest(language, self.max_states)

    def _refuse_empty(self, language: Language) -> None:
        if self.is_empty(language):
            raise InvalidSpec("regular language: it is empty, so its texts have no length")

    def clipped(self, language: Language, limit: int) -> Language:
        """A language that is the same for anybody who reads at most `limit` characters of a text.

        Texts of at most `limit` characters are in both or in none, and begin a text of both or of none; but counts
        beyond `limit` are gone, so that repetitions that differ in these alone become the same object.
        """
        if language.bound <= limit:
            return language
        found = self._clipped.get((language, limit))
        if found is None:
            found = self._clipped[language, limit] = clipped(self, language, limit)
        return found

    def name_of(self, language: Language) -> str | None:
        """What a language is called in every arena; None for one that has no such name."""
        return name_of(language, self._names)

    def accepts(self, language: Language, text: str) -> bool:
        """Whether a text is in a language."""
        return language.contains(text)


def _number(language: Language) -> int:
    return language.number


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= char <= "\udfff" for char in text)
