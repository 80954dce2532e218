"""Detokenizer: token ids to text as they come, never half a character."""

from __future__ import annotations

from codecs import utf_8_decode
from collections.abc import Sequence

__all__ = ["Detokenizer"]


class Detokenizer:
    """Turns one sequence's tokens into text; what it returned, joined, is the UTF-8 decoding of all their bytes.

    Bytes that are no UTF-8 become U+FFFD, as `bytes.decode("utf-8", "replace")` does it.

    Args:
        token_bytes: the bytes of every token; None for those that stand for no text.
        skip: leading bytes that are not shown.
    """

    __slots__ = ("_pending", "_skip", "_token_bytes")

    def __init__(self, token_bytes: Sequence[bytes | None], skip: int = 0) -> None:
        self._token_bytes = token_bytes
        self._pending = b""
        self._skip = skip

    def push(self, token_id: int) -> str:
        """The characters that this token completes; "" while one is still open, and for special tokens."""
        added = self._token_bytes[token_id]
        if not added:
            return ""
        if self._skip:
            skipped = min(self._skip, len(added))
            self._skip -= skipped
            added = added[skipped:]
        data = self._pending + added
        text, used = utf_8_decode(data, "replace", False)
        self._pending = data[used:]
        return text

    @property
    def is_skipping(self) -> bool:
        """Whether leading bytes that are not shown are still to come."""
        return self._skip > 0

    @property
    def is_open(self) -> bool:
        """Whether the last token ended inside a character."""
        return bool(self._pending)

    def flush(self) -> str:
        """The end of the text: U+FFFD for a character left open, else ""; then it begins anew."""
        text, _ = utf_8_decode(self._pending, "replace", True)
        self._pending = b""
        return text

    def fork(self) -> Detokenizer:
        """An independent detokenizer at the same point."""
        twin = Detokenizer(self._token_bytes, self._skip)
        twin._pending = self._pending
        return twin
