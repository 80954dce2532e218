"""TokenizerManager: the tokenizer as hosts that were made for SGLang use it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runtime.tokenizer import Tokenizer

__all__ = ["TokenizerManager"]


class TokenizerManager:
    """Has a `tokenizer` of `transformers`, with `apply_chat_template`, `encode` and `decode`.

    Args:
        tokenizer: the model's own.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._own = tokenizer

    @cached_property
    def tokenizer(self) -> Any:
        """A fast tokenizer of `transformers` that makes the same tokens."""
        from transformers import PreTrainedTokenizerFast

        made = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
            tokenizer_object=self._own.backend_copy(), **self._own.token_names
        )
        made.chat_template = self._own.chat_template
        return made
