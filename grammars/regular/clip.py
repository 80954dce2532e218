"""Languages with the counts taken out that nobody can tell who reads only so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grammars.regular.term import Concat, Language, Repeat, Union

if TYPE_CHECKING:
    from grammars.regular.language import Languages

__all__ = ["clipped"]


def clipped(arena: Languages, language: Language, limit: int) -> Language:
    """See `Languages.clipped`, which remembers the answers.

    Intersections and complements stay as they are: whether a beginning can still become a text may hang on a count
    far beyond `limit` there.
    """
    if isinstance(language, Concat):
        parts = []
        here: Language = language
        while isinstance(here, Concat):
            parts.append(here.head)
            here = here.tail
        return arena.concat(*(arena.clipped(part, limit) for part in (*parts, here)))
    if isinstance(language, Union):
        return arena.union(*(arena.clipped(item, limit) for item in language.items))
    if isinstance(language, Repeat):
        high = None if language.high is None or language.high > limit else language.high
        return arena.repeat(arena.clipped(language.item, limit), min(language.low, limit + 1), high)
    return language
