"""TokenPrefixes: a vocabulary in the order of its bytes, to find tokens by how they begin."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

__all__ = ["TokenPrefixes"]


class TokenPrefixes:
    """All tokens that stand for text, sorted. Immutable.

    Args:
        token_bytes: the bytes of token 0, 1, 2 …; None for those that stand for no text.
    """

    def __init__(self, token_bytes: Sequence[bytes | None]) -> None:
        pairs = sorted((text, token) for token, text in enumerate(token_bytes) if text)
        self._texts = [text for text, _ in pairs]
        self._tokens = [token for _, token in pairs]
        self._lowest = dict(reversed(pairs))

    def find(self, text: bytes) -> int | None:
        """The lowest token that is exactly `text`, if there is one."""
        return self._lowest.get(text)

    def within(self, text: bytes) -> list[int]:
        """Every token that is a beginning of `text`, or all of it."""
        found: list[int] = []
        for end in range(1, len(text) + 1):
            low, high = bisect_left(self._texts, text[:end]), bisect_right(self._texts, text[:end])
            found += self._tokens[low:high]
        return found

    def extending(self, text: bytes) -> list[tuple[bytes, int]]:
        """Every token that begins with `text` and goes on: what comes after it, ascending, and the token."""
        low, high = self._extending(text)
        size = len(text)
        return [(self._texts[place][size:], self._tokens[place]) for place in range(low, high)]

    def can_go_on(self, text: bytes) -> bool:
        """Whether a token begins with `text` and is longer."""
        low, high = self._extending(text)
        return low < high

    def _extending(self, text: bytes) -> tuple[int, int]:
        low = bisect_right(self._texts, text)
        head = text.rstrip(b"\xff")  # the least text after all that begin with `text`
        high = bisect_left(self._texts, head[:-1] + bytes([head[-1] + 1])) if head else len(self._texts)
        return low, high
