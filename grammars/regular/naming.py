"""Names of languages that hold beyond their arena: the same for every term that is written the same."""

from __future__ import annotations

from collections.abc import MutableMapping
from hashlib import blake2b

from grammars.regular.kinds import (
    Chars,
    Complement,
    Concat,
    Epsilon,
    Intersection,
    LeafTerm,
    Repeat,
    Texts,
    Union,
)
from grammars.regular.term import Language

__all__ = ["name_of"]

MOST_PARTS = 2_000
"""Larger terms get no name."""
SIZE = 16
"""Bytes of a digest."""


def name_of(language: Language, known: MutableMapping[Language, str]) -> str | None:
    """A digest of how a language is written; None for one that is large, or has parts of which that cannot be told.

    Without recursion, for terms may be nested deeply.

    Args:
        language: the language.
        known: the names of the languages of its arena that have been asked for before.
    """
    waiting, looked_at = [language], 0
    while waiting:
        here = waiting[-1]
        if here in known:
            waiting.pop()
            continue
        looked_at += 1
        parts = _parts(here)
        if parts is None or looked_at > MOST_PARTS:
            return None
        missing = [part for part in parts if part not in known]
        waiting += missing
        if not missing:
            known[here] = _digest(here, [known[part] for part in parts])
    return known[language]


def _parts(language: Language) -> tuple[Language, ...] | None:
    if isinstance(language, Concat):
        return (language.head, language.tail)
    if isinstance(language, Union | Intersection):
        return language.items
    if isinstance(language, Repeat | Complement):
        return (language.item,)
    if isinstance(language, Chars | Epsilon | Texts):
        return ()
    return () if isinstance(language, LeafTerm) and hasattr(language.leaf, "name") else None


def _digest(language: Language, parts: list[str]) -> str:
    own: object = None
    if isinstance(language, Union | Intersection):
        parts = sorted(parts)  # their order is the arena's
    elif isinstance(language, Repeat):
        own = (language.low, language.high)
    elif isinstance(language, Chars):
        own = language.ranges
    elif isinstance(language, Texts):
        own = language.rests()
    elif isinstance(language, LeafTerm):
        own = language.leaf.name  # type: ignore[attr-defined]
    written = f"{type(language).__name__} {own!r} {' '.join(parts)}"
    return blake2b(written.encode(), digest_size=SIZE).hexdigest()
