"""Regexes of which `re` takes the longest match in any case, as plain languages.

That is so where the next character always tells which part of the regex it belongs to, and no part would rather end.
It is checked on the regex alone, and is true of nearly all terminals; for the rest there is `preference`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from grammars.cfg.preference import Branches, Item, Loop, OneOf, Way
from grammars.regular.charset import CharSet

if TYPE_CHECKING:
    from grammars.regular.language import Language, Languages

__all__ = ["longest_language"]

NO_CHARS = CharSet(())


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a regex: what begins its texts, and what may continue a text that is complete.

    `eager`: it goes on where it can.
    """

    language: Language
    first: CharSet
    more: CharSet
    eager: bool

    @property
    def nullable(self) -> bool:
        return self.language.nullable


def longest_language(languages: Languages, way: Way) -> Language | None:
    """The language of a regex whose every match is its longest; None when that is not plain to see."""
    part = _sequence(languages, way)
    return part.language if part is not None and part.eager else None


def _sequence(languages: Languages, way: Way) -> _Part | None:
    whole = _Part(languages.epsilon, NO_CHARS, NO_CHARS, True)
    for item in reversed(way):
        part = _item(languages, item)
        if part is None or _overlap(part.more, whole.first):
            return None
        more = whole.more | part.more | whole.first if whole.nullable else whole.more
        whole = _Part(
            languages.concat(part.language, whole.language),
            part.first | whole.first if part.nullable else part.first,
            more,
            whole.eager and (part.eager or not whole.nullable),
        )
    return whole


def _item(languages: Languages, item: Item) -> _Part | None:
    if isinstance(item, OneOf):
        chars = CharSet(item.ranges)
        return _Part(languages.chars(chars), chars, NO_CHARS, True)
    if isinstance(item, Branches):
        return _branches(languages, item)
    if isinstance(item, Loop):
        return _loop(languages, item)
    return None


def _branches(languages: Languages, branches: Branches) -> _Part | None:
    first = more = NO_CHARS
    options: list[Language] = []
    eager = True
    for index, option in enumerate(branches.options):
        part = _sequence(languages, option)
        if part is None or _overlap(first, part.first) or any(known.nullable and part.nullable for known in options):
            return None
        options.append(part.language)
        first |= part.first
        more |= part.more
        eager &= part.eager and not (part.nullable and index < len(branches.options) - 1)
    language = languages.union(*options)
    return _Part(language, first, more | first if language.nullable else more, eager)


def _loop(languages: Languages, loop: Loop) -> _Part | None:
    body = _sequence(languages, loop.body)
    if body is None or body.nullable or not body.eager:
        return None
    if loop.high != 1 and _overlap(body.more, body.first):
        return None
    bounded = loop.high is not None and loop.high == loop.low
    more = body.more if bounded and loop.high == 1 else body.more | body.first
    return _Part(languages.repeat(body.language, loop.low, loop.high), body.first, more, bounded or not loop.lazy)


def _overlap(one: CharSet, other: CharSet) -> bool:
    ordered = sorted(one.ranges + other.ranges)
    return any(before[1] >= after[0] for before, after in pairwise(ordered))
