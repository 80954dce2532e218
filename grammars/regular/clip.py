"""Languages with the counts taken out that nobody can tell who reads only so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grammars.regular.kinds import Concat, LeafTerm, Repeat, Union, subterms
from grammars.regular.term import ClippableLeaf, Language

if TYPE_CHECKING:
    from grammars.regular.language import Languages

__all__ = ["clipped"]


def clipped(arena: Languages, language: Language, limit: int) -> Language:
    """See `Languages.clipped`, which remembers the answers.

    Intersections and complements stay as they are: whether a beginning can still become a text may hang on a count
    far beyond `limit` there.
    """
    done: dict[Language, Language] = {}
    for part in subterms(language):
        if part.bound <= limit:
            done[part] = part
        elif isinstance(part, LeafTerm) and isinstance(part.leaf, ClippableLeaf):
            done[part] = arena.make_leaf(part.leaf.clipped(limit))
        elif isinstance(part, Concat):
            done[part] = arena.concat(done[part.head], done[part.tail])
        elif isinstance(part, Union):
            done[part] = arena.union(*(done[item] for item in part.items))
        elif isinstance(part, Repeat):
            high = None if part.high is None or part.high > limit else part.high
            done[part] = arena.repeat(done[part.item], min(part.low, limit + 1), high)
    return done[language]
