"""A vocabulary as grammars see it: the bytes of every token, and which tokens end a text."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property

__all__ = ["Vocabulary"]


class Vocabulary:
    """Token id → bytes. Immutable; hashable by content through `fingerprint`.

    Args:
        tokens: the bytes of token 0, 1, 2 …; None for a special token, which no text can contain.
        end_tokens: ids that end a text; at least one.
        encode: the canonical tokens of a text, nothing added; what forced tokens are made with.
        special: special tokens by their text, for grammars that name them.

    Raises:
        ValueError: there is no end token, or one lies outside the vocabulary.
    """

    def __init__(
        self,
        tokens: Sequence[bytes | None],
        end_tokens: Iterable[int],
        *,
        encode: Callable[[str], list[int]] | None = None,
        special: Mapping[str, int] | None = None,
    ) -> None:
        self.encode = encode
        self.special = dict(special or {})
        self.tokens = tuple(tokens)
        self.end_tokens = frozenset(end_tokens)
        if not self.end_tokens:
            raise ValueError("end_tokens: at least one is needed")
        for token in self.end_tokens:
            if not 0 <= token < len(self.tokens):
                raise ValueError(f"end_tokens: {token} is not in 0..{len(self.tokens) - 1}")

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def mask_words(self) -> int:
        """Number of int32 words in a mask row."""
        return (len(self.tokens) + 31) // 32

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the content, the same in every process."""
        digest = hashlib.sha256()
        for token in self.tokens:
            digest.update(b"\xff" if token is None else len(token).to_bytes(4, "little") + token)
        digest.update(repr(sorted(self.end_tokens)).encode())
        return digest.hexdigest()
