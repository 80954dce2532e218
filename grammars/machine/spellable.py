"""Which characters a vocabulary can write at all, byte by byte if need be."""

from __future__ import annotations

from grammars.regular.charset import CharSet
from grammars.vocabulary import Vocabulary

__all__ = ["spellable"]

LEADS = ((0xC2, 0xDF, 6, 0xC0), (0xE0, 0xEF, 12, 0xE0), (0xF0, 0xF4, 18, 0xF0))
"""First and last lead byte of UTF-8, bits behind it, mark of the lead byte."""
FIRST_OF_LENGTH = {6: 0x80, 12: 0x800, 18: 0x10000}


def spellable(vocabulary: Vocabulary) -> CharSet | None:
    """The characters whose bytes are tokens by themselves; None where all are.

    From a vocabulary without the token of a byte, a text that needs that byte could be begun and never ended.
    """
    single = {token[0] for token in vocabulary.tokens if token is not None and len(token) == 1}
    ranges = [(byte, byte) for byte in range(0x80) if byte in single]
    if single >= set(range(0x80, 0xC0)):
        for first, last, bits, mark in LEADS:
            for lead in range(first, last + 1):
                base = (lead - mark) << bits
                if lead in single:
                    ranges.append((max(base, FIRST_OF_LENGTH[bits]), min(base + (1 << bits) - 1, 0x10FFFF)))
    found = CharSet.of(ranges)
    return None if not found.complement() else found
