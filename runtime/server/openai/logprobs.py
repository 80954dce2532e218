"""Logprobs: log probabilities in the shapes of chat and plain completions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from runtime.handle import TokenLogprob
from runtime.tokenizer import Tokenizer

__all__ = ["TextLogprobs", "chat_logprobs", "token_text"]

LEAST = -9999.0
"""In place of minus infinity, which JSON does not have."""


def chat_logprobs(entries: Iterable[TokenLogprob], tokenizer: Tokenizer) -> dict[str, Any]:
    """Of a chat's answer."""
    return {
        "content": [
            {
                **_entry(one.token, one.logprob, tokenizer),
                "top_logprobs": [_entry(token, logprob, tokenizer) for logprob, token in one.top],
            }
            for one in entries
        ]
    }


def _entry(token: int, logprob: float, tokenizer: Tokenizer) -> dict[str, Any]:
    data = tokenizer.token_bytes[token]
    return {
        "token": token_text(token, tokenizer),
        "logprob": max(logprob, LEAST),
        "bytes": None if data is None else list(data),
    }


def token_text(token: int, tokenizer: Tokenizer) -> str:
    """A token by itself: its text, with U+FFFD for half a character, or a special token's name."""
    data = tokenizer.token_bytes[token]
    return tokenizer.decode([token], skip_special_tokens=False) if data is None else data.decode("utf-8", "replace")


class TextLogprobs:
    """Those of one plain completion, which may come piece by piece.

    Args:
        offset: where in the text the first token begins.
    """

    def __init__(self, tokenizer: Tokenizer, offset: int = 0) -> None:
        self._tokenizer = tokenizer
        self._offset = offset

    def prompt(self, first: int, entries: Sequence[TokenLogprob]) -> dict[str, Any]:
        """Of an echoed prompt; nothing speaks of its first token."""
        text = token_text(first, self._tokenizer)
        begin: dict[str, list[Any]] = {
            "tokens": [text],
            "token_logprobs": [None],
            "top_logprobs": [None],
            "text_offset": [self._offset],
        }
        self._offset += len(text)
        rest = self.next(entries)
        return {name: [*begin[name], *rest[name]] for name in begin}

    def next(self, entries: Iterable[TokenLogprob]) -> dict[str, Any]:
        """Of further tokens."""
        found: dict[str, Any] = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
        for one in entries:
            text = token_text(one.token, self._tokenizer)
            found["tokens"].append(text)
            found["token_logprobs"].append(max(one.logprob, LEAST))
            top = {token_text(token, self._tokenizer): max(logprob, LEAST) for logprob, token in one.top}
            found["top_logprobs"].append(top)
            found["text_offset"].append(self._offset)
            self._offset += len(text)
        return found
