"""Healing: the first token may begin inside the prompt's last one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from typing_extensions import override

from grammars import MaskRow, Matcher, unpack
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
        pieces = self._spelled(data[len(left) :])
        return None if pieces is None else (OVER, pieces)

    def _spelled(self, data: bytes) -> list[int] | None:
        """The bytes as tokens of one byte each, for the grammar; none without a grammar, None where one is missing."""
        if self.rest is None:
            return []
        pieces = [self._prefixes.find(bytes([byte])) for byte in data]
        return [piece for piece in pieces if piece is not None] if None not in pieces else None

    @override
    def _fill(self, row: MaskRow) -> None:
        left, rest = self._pending[self._state :], self.rest
        longer = self._prefixes.extending(left)
        if rest is None:
            tokens = [token for _, token in longer]
        else:
            rest.mask_into(row)
            allowed = unpack(row[None], 32 * len(row))[0].tolist()
            tokens = list(self._continuing(longer, allowed, rest.fork()))
        row.fill(0)
        for token in (*self._prefixes.within(left), *tokens):
            row[token >> 5] |= _BITS[token & 31]

    def _continuing(
        self, longer: Sequence[tuple[bytes, int]], allowed: Sequence[bool], matcher: Matcher
    ) -> Iterator[int]:
        """Those of `longer` (texts behind `pending`, ascending, and tokens) whose text the grammar may begin with.

        A text that is a token itself is looked up in the grammar's mask; the others are read byte by byte.
        """
        path = b""  # what `matcher` has read
        dead: bytes | None = None  # no text may begin so
        for text, token in longer:
            known = self._prefixes.find(text)
            if known is not None:
                if allowed[known]:
                    yield token
                continue
            if dead is not None and text.startswith(dead):
                continue
            common = next((i for i, pair in enumerate(zip(path, text, strict=False)) if pair[0] != pair[1]), len(path))
            matcher.rollback(len(path) - common)
            path = text[:common]
            for byte in text[common:]:
                piece = self._prefixes.find(bytes([byte]))
                if piece is None or not matcher.accept(piece):
                    dead = path + bytes([byte])
                    break
                path += bytes([byte])
            else:
                yield token


_BITS = tuple(1 << bit if bit < 31 else -(1 << 31) for bit in range(32))
