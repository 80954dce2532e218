"""Lower bounds of the length of a language's texts, which guide searches for one."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import TypeAlias

from grammars.regular.charset import CharSet
from grammars.regular.kinds import Chars, Concat, Epsilon, Intersection, LeafTerm, Repeat, Texts, Union, subterms
from grammars.regular.term import Language, LeafOfAlphabet

__all__ = ["Bounds"]

FEW = 64
"""Of sets of more texts than these only is told whether the empty text is among them."""

LONG = 1_000_000_000
"""Greater counts and lengths in repetitions are taken for this one, because floats have an end."""

_Known: TypeAlias = dict[Language, float]


class Bounds:
    """What the parts of languages tell of their texts. Remembers the answers; one for each arena."""

    def __init__(self) -> None:
        self._least: _Known = {}
        self._least_within: dict[CharSet, _Known] = {}
        self._alphabets: dict[Language, CharSet] = {}

    def least(self, language: Language) -> float:
        """At least so many characters any text of the language has; infinitely many if it is seen to be empty.

        Texts of an intersection have but the characters that are in every item: an item that takes another one makes
        it empty.
        """
        known = self._least.get(language)
        return self._measure(language, self._least, CharSet.ALL, self._least_common) if known is None else known

    def alphabet(self, language: Language) -> CharSet:
        """Characters that all texts of the language are made of."""
        if language not in self._alphabets:
            for part in subterms(language, self._alphabets):
                self._alphabets[part] = self._alphabet(part)
        return self._alphabets[language]

    def _alphabet(self, part: Language) -> CharSet:
        if isinstance(part, Chars):
            return CharSet(part.ranges)
        if isinstance(part, Repeat):
            return self._alphabets[part.item]
        if isinstance(part, Concat | Union):
            parts = part.items if isinstance(part, Union) else (part.head, part.tail)
            alphabets = {self._alphabets[each] for each in parts}
            if CharSet.ALL in alphabets or len(alphabets) == 1:
                return CharSet.ALL if len(alphabets) > 1 else alphabets.pop()
            return CharSet.of(pair for chars in alphabets for pair in chars.ranges)
        if isinstance(part, LeafTerm):
            return part.leaf.alphabet if isinstance(part.leaf, LeafOfAlphabet) else CharSet.ALL
        if isinstance(part, Texts) and part.high - part.low <= FEW:
            return CharSet.chars("".join(part.rests()))
        return CharSet(()) if isinstance(part, Epsilon) else CharSet.ALL

    def _least_common(self, intersection: Intersection) -> float:
        chars = CharSet.ALL
        for item in intersection.items:
            own = self.alphabet(item)
            chars = own if chars is CharSet.ALL else chars & own
        known = self._least_within.setdefault(chars, {})
        return max(self._measure(item, known, chars, _simple) for item in intersection.items)

    def _measure(
        self, language: Language, known: _Known, chars: CharSet, meet: Callable[[Intersection], float]
    ) -> float:
        """`least` of the texts made of some characters; `meet` tells it of an intersection inside."""
        if language not in known:
            for part in subterms(language, known):
                known[part] = meet(part) if isinstance(part, Intersection) else self._of_parts(part, known, chars)
        return known[language]

    def _of_parts(self, part: Language, known: _Known, chars: CharSet) -> float:
        if isinstance(part, Chars):
            return 1 if chars is CharSet.ALL or chars & CharSet(part.ranges) else inf
        if isinstance(part, Concat):
            return known[part.head] + known[part.tail]
        if isinstance(part, Union):
            return min(known[item] for item in part.items)
        if isinstance(part, Repeat):
            item = known[part.item]
            return min(part.low, LONG) * min(item, LONG) if item < inf or not part.low else inf
        if isinstance(part, Texts) and part.high - part.low <= FEW:
            return min((len(text) for text in part.rests() if all(char in chars for char in text)), default=inf)
        return inf if not (part.nullable or self.alphabet(part) & chars) else _simple(part)


def _simple(language: Language) -> float:
    return 0 if language.nullable else 1
