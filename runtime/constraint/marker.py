"""Marker: a text that ends a model's reasoning, as the tokens of a vocabulary may spell it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from grammars import MaskRow
from runtime.constraint.staged import OVER
from runtime.token_prefixes import TokenPrefixes

__all__ = ["Marker"]


class Marker:
    """Finds the marker in a text that comes token by token (Knuth, Morris and Pratt 1977).

    A state is the number of the marker's bytes the text ends with, `OVER` once it is whole.

    Args:
        text: the marker.
        token_bytes: the bytes of every token; None for those that stand for no text.
        prefixes: the same vocabulary in the order of its bytes.
        end_tokens: tokens that end a text; before the marker none may come.
        special_tokens: text → token, for a marker that is one of them.
    """

    def __init__(
        self,
        text: str,
        token_bytes: Sequence[bytes | None],
        prefixes: TokenPrefixes,
        end_tokens: Collection[int],
        special_tokens: Mapping[str, int],
    ) -> None:
        self._text = text.encode()
        self._token_bytes = token_bytes
        self._prefixes = prefixes
        self._ends = frozenset(end_tokens)
        self._token = special_tokens.get(text)
        self._borders = _borders(self._text)
        self._barred: dict[int, npt.NDArray[np.int64]] = {}

    def after(self, state: int, token: int) -> int | None:
        """The state after one more token; None for an end token, and for one that goes on behind the marker."""
        if token == self._token:
            return OVER
        if token in self._ends or not 0 <= token < len(self._token_bytes):
            return None
        data = self._token_bytes[token]
        if data is None:
            return 0
        for place, byte in enumerate(data):
            state = self._follow(state, byte)
            if state == len(self._text):
                return OVER if place == len(data) - 1 else None
        return state

    def _follow(self, state: int, byte: int) -> int:
        while state and self._text[state] != byte:
            state = self._borders[state]
        return state + 1 if self._text[state] == byte else 0

    def fill(self, row: MaskRow, state: int) -> None:
        """Overwrites a mask with everything that may come before the marker is whole."""
        row.fill(-1)
        if state not in self._barred:
            self._barred[state] = np.array(sorted(self._find_barred(state)), dtype=np.int64)
        barred = self._barred[state]
        np.bitwise_and.at(row.view(np.uint32), barred >> 5, ~(np.uint32(1) << (barred & 31).astype(np.uint32)))

    def _find_barred(self, state: int) -> set[int]:
        barred = set(self._ends)
        size = len(self._text)
        for token, data in enumerate(self._token_bytes):
            if data and len(data) > size and 0 <= data.find(self._text) < len(data) - size:
                barred.add(token)
        for begun in self._suffixes(state):
            barred.update(token for _, token in self._prefixes.extending(self._text[begun:]))
        return barred

    def _suffixes(self, state: int) -> Iterator[int]:
        """Every beginning of the marker that the text ends with in `state`, by its length."""
        while state:
            yield state
            state = self._borders[state]


def _borders(text: bytes) -> list[int]:
    """For every length of a beginning of `text`, the longest shorter beginning that it ends with."""
    borders = [0] * (len(text) + 1)
    length = 0
    for end in range(1, len(text)):
        while length and text[end] != text[length]:
            length = borders[length]
        length += text[end] == text[length]
        borders[end + 1] = length
    return borders
