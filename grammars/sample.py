"""Random texts of a grammar, drawn from its masks; biased to come to an end."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np

from grammars.errors import GrammarError
from grammars.grammar import Matcher
from grammars.mask import unpack
from grammars.vocabulary import Vocabulary

__all__ = ["byte_vocabulary", "sample_text"]

DRAWN = 8
"""Tokens drawn at each step, of which the most promising is taken."""
CLOSERS = b'"}]'
ODD = b"\\-+. \t\n\r"
"""What tends to lengthen a text without need: escapes, signs, points, whitespace."""
OPENERS = b"{[,"


def byte_vocabulary() -> Vocabulary:
    """The 256 bytes, token n being byte n, and an end token: enough for whoever has no model."""
    return Vocabulary([*(bytes([byte]) for byte in range(256)), None], [256])


def sample_text(
    matcher: Matcher, vocabulary: Vocabulary, rng: random.Random, *, hurry: int = 60, most: int = 2000
) -> bytes | None:
    """Draws tokens until the text ends; None where it has not ended after `most` tokens.

    Args:
        matcher: at the start of the text; advanced.
        vocabulary: the matcher's own.
        rng: where chance comes from.
        hurry: tokens after which the text ends as soon as it may, and avoids what would make it longer.
        most: tokens after which it is given up.

    Raises:
        GrammarError: nothing may come next though the text is not complete, which no grammar should let happen.
    """
    text = b""
    row = np.zeros(vocabulary.mask_words, np.int32)
    for step in range(most):
        if matcher.is_complete() and (step > hurry or rng.random() < 0.3):
            return text
        matcher.mask_into(row)
        allowed = np.flatnonzero(unpack(row[None], len(vocabulary))[0]).tolist()
        allowed = [token for token in allowed if token not in vocabulary.end_tokens]
        if not allowed:
            if matcher.is_complete():
                return text
            raise GrammarError(f"dead end: nothing may follow {text!r}")
        token = _drawn(allowed, vocabulary, rng, in_a_hurry=step > hurry)
        if not matcher.accept(token):
            raise GrammarError(f"mask and matcher differ: token {token} is refused after {text!r}")
        text += vocabulary.tokens[token] or b""
    return None


def _drawn(allowed: Sequence[int], vocabulary: Vocabulary, rng: random.Random, *, in_a_hurry: bool) -> int:
    """One of the allowed tokens: closers and plain characters rather than others."""
    drawn = list(allowed) if in_a_hurry and len(allowed) <= 256 else rng.choices(allowed, k=DRAWN)
    weight = 4.0 if in_a_hurry else 1.0

    def promise(token: int) -> float:
        text = vocabulary.tokens[token] or b""
        score = rng.random()
        if text[:1] and text[0] >= 0x80:
            score -= 0.7 * weight
        if any(byte in CLOSERS for byte in text):
            score += 0.5 * weight
        score -= 0.4 * weight * any(byte in ODD for byte in text)
        return score - (1.2 * weight if in_a_hurry and any(byte in OPENERS for byte in text) else 0)

    return max(drawn, key=promise)
