"""Healing: the first token may begin inside the prompt's last one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from typing_extensions import override

from grammars import MaskRow, Matcher
from runtime.constraint.staged import OVER, Staged
from runtime.token_prefixes import TokenPrefixes

__all__ = ["MOST_HEALED", "Healing", "num_to_heal"]

MOST_HEALED = 8
"""Tokens that are taken back at most; few vocabularies have a token that begins as more of them together."""


def num_to_heal(
    tokens: Sequence[int], is_prompt: Sequence[bool], token_bytes: Sequence[bytes | None], prefixes: TokenPrefixes
) -> int:
    """How many of the last tokens to take back: as many as some longer token begins with the text of.

    Only tokens of the program's text are taken back, and at least one token stays.

    Args:
        tokens: all of the session's.
        is_prompt: of at least the last `MOST_HEALED` of them, whether they are the program's text.
        token_bytes, prefixes: the vocabulary.
    """
    pending, found = b"", 0
    for count in range(1, min(MOST_HEALED, len(tokens) - 1) + 1):
        data = token_bytes[tokens[-count]]
        if not data or not is_prompt[-count]:
            break
        pending = data + pending
        if prefixes.can_go_on(pending):
            found = count
    return found


class Healing(Staged):
    """Restricts the first tokens to those that spell the text taken back, and whatever follows in the last of them.

    Under a grammar a token is left out where what follows is no one or two tokens itself, to bound the work; the texts
    it begins can be spelled without it.

    Args:
        pending: the bytes taken back, not empty.
        token_bytes: the bytes of every token; None for those that stand for no text.
        prefixes: the same vocabulary in the order of its bytes.
        rest: the grammar of what follows `pending`, if there is one.
    """

    def __init__(
        self, pending: bytes, token_bytes: Sequence[bytes | None], prefixes: TokenPrefixes, rest: Matcher | None
    ) -> None:
        super().__init__(rest, 0)
        self._pending = pending
        self._token_bytes = token_bytes
        self._prefixes = prefixes

    @override
    def _advance(self, token: int) -> tuple[int, Sequence[int]] | None:
        data = self._token_bytes[token] if 0 <= token < len(self._token_bytes) else None
        left = self._pending[self._state :]
        if not data:
            return None
        if left.startswith(data):
            state = self._state + len(data)
            return OVER if state == len(self._pending) else state, ()
        if not data.startswith(left):
            return None
        pieces = () if self.rest is None else self._split(data[len(left) :])
        return None if pieces is None else (OVER, pieces)

    def _split(self, text: bytes) -> tuple[int, ...] | None:
        """A text as one token, or else as two, the first as short as can be."""
        find = self._prefixes.find
        whole = find(text)
        if whole is not None:
            return (whole,)
        for place in range(1, len(text)):
            head = find(text[:place])
            tail = None if head is None else find(text[place:])
            if head is not None and tail is not None:
                return head, tail
        return None

    @override
    def _fill(self, row: MaskRow) -> None:
        left, rest = self._pending[self._state :], self.rest
        longer = self._prefixes.extending(left)
        tokens = [token for _, token in longer] if rest is None else self._continuing(longer, rest.fork(), row)
        tokens += self._prefixes.within(left)
        row.fill(0)
        for token in tokens:
            row[token >> 5] |= _BITS[token & 31]

    def _continuing(self, longer: Sequence[tuple[bytes, int]], matcher: Matcher, row: MaskRow) -> list[int]:
        """Those of `longer` (texts behind `pending`, and tokens) whose text the grammar may begin with.

        One mask answers for all texts that are tokens themselves, and one for all that begin with the same token.
        `row` is written on.
        """
        grouped: dict[tuple[int, ...], list[tuple[int, int]]] = {}
        for text, token in longer:
            pieces = self._split(text)
            if pieces is not None:
                grouped.setdefault(pieces[:-1], []).append((pieces[-1], token))
        found: list[int] = []
        for head, pairs in grouped.items():
            if all(matcher.accept(piece) for piece in head):
                matcher.mask_into(row)
                tails, tokens = np.array(pairs).T
                found += tokens[row[tails >> 5] >> (tails & 31) & 1 == 1].tolist()
                matcher.rollback(len(head))
        return found


_BITS = tuple(1 << bit if bit < 31 else -(1 << 31) for bit in range(32))
