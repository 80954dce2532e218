from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

PIECES = [bytes([byte]) for byte in b"abc<>/think! "] + [
    b"ab",
    b"bc",
    b"abc",
    b"</",
    b"think",
    b"</think>",
    b"ink>",
    b"k>",
]
PIECES += [b"k> ", b">!", b"x</think>", b"</think>!", b"k>a", b" a", b" ab", b" abc", b"a b", b"ca", b"aa", b"aab"]
TABLE: list[bytes | None] = [*PIECES, None, None]
END, SPECIAL = len(PIECES), len(PIECES) + 1


class Texts:
    """A byte-level matcher: the text is one of some texts."""

    def __init__(self, texts: set[bytes], taken: tuple[bytes, ...] = ()) -> None:
        self.texts, self.taken = texts, taken

    @property
    def text(self) -> bytes:
        return b"".join(self.taken)

    def allows(self, token: int) -> bool:
        data = TABLE[token]
        if token == END:
            return self.text in self.texts
        return bool(data) and any(text.startswith(self.text + data) for text in self.texts)

    def mask_into(self, row: np.ndarray[Any, Any]) -> None:
        bits = np.zeros(32 * len(row), dtype=np.uint8)
        bits[[token for token in range(len(TABLE)) if self.allows(token)]] = 1
        row[:] = np.packbits(bits, bitorder="little").view(np.int32)

    def accept(self, token: int) -> bool:
        if not self.allows(token):
            return False
        self.taken = (*self.taken, TABLE[token] or b"")
        return True

    def forced(self) -> list[int]:
        return [END - 1]  # tells that the question came here

    def rollback(self, num_tokens: int) -> None:
        if not 0 <= num_tokens <= len(self.taken):
            raise ValueError("num_tokens")
        self.taken = self.taken[: len(self.taken) - num_tokens]

    def fork(self) -> Texts:
        return Texts(self.texts, self.taken)

    def is_complete(self) -> bool:
        return self.text in self.texts

    def is_exhausted(self) -> bool:
        return not any(text.startswith(self.text) and text != self.text for text in self.texts)


@pytest.fixture(scope="session")
def table() -> list[bytes | None]:
    return TABLE


@pytest.fixture(scope="session")
def texts() -> Callable[..., Texts]:
    return Texts


@pytest.fixture(scope="session")
def allowed() -> Callable[[Any], set[int]]:
    """What a matcher's mask allows, of the tokens there are."""

    def read(matcher: Any) -> set[int]:
        row = np.full(-(-len(TABLE) // 32), 0x5A5A5A5A, dtype=np.int32)
        matcher.mask_into(row)
        bits = np.unpackbits(row.view(np.uint8), bitorder="little")
        return {token for token in range(len(TABLE)) if bits[token]}

    return read
