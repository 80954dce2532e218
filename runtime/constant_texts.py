"""ConstantTexts: token ids of texts that many programs append, so that each is tokenized once."""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.tokenizer import Tokenizer

__all__ = ["ConstantTexts"]

MOST_BYTES = 16 << 20


class ConstantTexts:
    """Remembers texts it was told of; those not asked for longest are forgotten when there are too many.

    Safe to use from several threads.

    Args:
        tokenizer: turns text into tokens.
        most_bytes: what texts and ids may take together.
    """

    def __init__(self, tokenizer: Tokenizer, most_bytes: int = MOST_BYTES) -> None:
        self._tokenizer = tokenizer
        self._most_bytes = most_bytes
        self._ids: OrderedDict[str, tuple[int, ...]] = OrderedDict()
        self._num_bytes = 0
        self._lock = threading.Lock()

    @property
    def num_bytes(self) -> int:
        """Bytes that what is remembered takes."""
        return self._num_bytes

    def remember(self, texts: Iterable[str]) -> None:
        """Tokenizes each text that is not remembered yet. A text too large to be kept is left alone."""
        fresh = [text for text in dict.fromkeys(texts) if text and self._find(text) is None]
        for text, ids in zip(fresh, self._tokenizer.encode_batch(fresh), strict=True):
            self._keep(text, tuple(ids))

    def encode(self, text: str, *, add_bos: bool = False) -> Sequence[int]:
        """The token ids of a text: the remembered ones, or those the tokenizer finds now."""
        found = self._find(text)
        if found is None:
            return self._tokenizer.encode(text, add_bos=add_bos)
        return self._tokenizer.begun(found) if add_bos else found

    def _find(self, text: str) -> tuple[int, ...] | None:
        with self._lock:
            found = self._ids.get(text)
            if found is not None:
                self._ids.move_to_end(text)
            return found

    def _keep(self, text: str, ids: tuple[int, ...]) -> None:
        size = _size(text, ids)
        if size > self._most_bytes:
            return
        with self._lock:
            if text not in self._ids:
                self._ids[text] = ids
                self._num_bytes += size
            while self._num_bytes > self._most_bytes:
                self._num_bytes -= _size(*self._ids.popitem(last=False))


def _size(text: str, ids: tuple[int, ...]) -> int:
    return sys.getsizeof(text) + sys.getsizeof(ids) + 32 * len(ids)  # an int of CPython takes 28 bytes
