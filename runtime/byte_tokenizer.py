"""Byte tokenizer: one token per byte, for models with random weights, which have no vocabulary of their own."""

from __future__ import annotations

from tokenizers import AddedToken, decoders, models, pre_tokenizers
from tokenizers import Tokenizer as Backend

from runtime.token_bytes import BYTE_LEVEL
from runtime.tokenizer import Tokenizer

__all__ = ["byte_tokenizer"]

SPECIAL = ("<unk>", "<s>", "</s>")


def byte_tokenizer(vocab_size: int = 512) -> Tokenizer:
    """Tokens 0 to 2 are `<unk>`, `<s>` and `</s>`; byte b is token 3 + b; the rest is padding.

    Raises:
        DamagedModel: `vocab_size` is below 259.
    """
    vocabulary = {token: index for index, token in enumerate(SPECIAL)}
    vocabulary |= {character: len(SPECIAL) + byte for character, byte in BYTE_LEVEL.items()}
    backend = Backend(models.BPE(vocabulary, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken(token, normalized=False) for token in SPECIAL])
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    return Tokenizer(backend, vocab_size=vocab_size, bos_token_id=1, eos_token_ids=(2,), token_names=names)
