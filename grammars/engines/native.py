"""A matcher over another library's matcher: the library sees text only, end tokens are seen to here."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from grammars.grammar import MaskRow
from grammars.vocabulary import Vocabulary

__all__ = ["Native", "NativeMatcher", "pack"]


class Native(Protocol):
    """What a library's matcher has to do. It is never given an end token, nor one outside the vocabulary."""

    def fill(self, row: MaskRow) -> None:
        """Overwrites `row` (int32 [ceil(V / 32)]) with what may come next; the bits of end tokens mean nothing.

        Raises:
            GrammarLimit: the library has given up on this text.
        """

    def accept(self, token: int) -> bool:
        """Advances by one token; False, and no change, when it is not allowed."""

    def forced(self) -> list[int]:
        """The tokens that must come next, canonically tokenized; empty when unknown."""

    def rollback(self, num_tokens: int) -> None:
        """Takes back the last `num_tokens` tokens, of which there are as many."""

    def fork(self) -> Native:
        """An independent matcher at the same point."""

    def is_complete(self) -> bool:
        """Whether the text so far is accepted as it stands."""


class NativeMatcher:
    """Follows one text through a library's matcher (see `grammars.grammar.Matcher`).

    After an end token only further end tokens are accepted, and the text stays complete.

    Args:
        native: the library's matcher, at the start of the text; owned by this one.
        vocabulary: the tokens texts are made of.
        end_row: the end tokens of the vocabulary as a mask row; see `pack`.
    """

    __slots__ = ("_end_row", "_native", "_num_ends", "_num_tokens", "_vocabulary")

    def __init__(self, native: Native, vocabulary: Vocabulary, end_row: MaskRow) -> None:
        self._native = native
        self._vocabulary = vocabulary
        self._end_row = end_row
        self._num_tokens = 0
        self._num_ends = 0

    def mask_into(self, row: MaskRow) -> None:
        """Overwrites `row` with the tokens that may come next; GrammarLimit when the library has given up."""
        if self._num_ends:
            np.copyto(row, self._end_row)
            return
        self._native.fill(row)
        if self._native.is_complete():
            row |= self._end_row
        else:
            row &= ~self._end_row

    def accept(self, token: int) -> bool:
        """Advances by one token; False, and no change, when it is not allowed."""
        if token in self._vocabulary.end_tokens:
            if not self.is_complete():
                return False
            self._num_ends += 1
            return True
        if self._num_ends or not 0 <= token < len(self._vocabulary) or not self._native.accept(token):
            return False
        self._num_tokens += 1
        return True

    def forced(self) -> list[int]:
        """The tokens that must come next, as far as the library knows."""
        return [] if self._num_ends else self._native.forced()

    def rollback(self, num_tokens: int) -> None:
        """Takes back the last `num_tokens` tokens; ValueError when fewer were accepted."""
        accepted = self._num_tokens + self._num_ends
        if not 0 <= num_tokens <= accepted:
            raise ValueError(f"num_tokens: {num_tokens} is not in 0..{accepted}, the tokens accepted")
        ends = min(num_tokens, self._num_ends)
        if num_tokens > ends:
            self._native.rollback(num_tokens - ends)
        self._num_ends -= ends
        self._num_tokens -= num_tokens - ends

    def fork(self) -> NativeMatcher:
        """An independent matcher at the same point."""
        other = NativeMatcher(self._native.fork(), self._vocabulary, self._end_row)
        other._num_tokens, other._num_ends = self._num_tokens, self._num_ends
        return other

    def is_complete(self) -> bool:
        """Whether the text so far is accepted as it stands."""
        return self._num_ends > 0 or self._native.is_complete()

    def is_exhausted(self) -> bool:
        """Whether nothing but the end may follow."""
        if self._num_ends:
            return True
        row = np.zeros(self._vocabulary.mask_words, np.int32)
        self._native.fill(row)
        return not (row & ~self._end_row).any()


def pack(tokens: list[int], vocabulary: Vocabulary) -> MaskRow:
    """A set of tokens as a read-only mask row: int32 [ceil(V / 32)]."""
    allowed = np.zeros(vocabulary.mask_words * 32, np.bool_)
    allowed[tokens] = True
    row: MaskRow = np.packbits(allowed, bitorder="little").view("<i4").astype(np.int32)
    row.flags.writeable = False
    return row
