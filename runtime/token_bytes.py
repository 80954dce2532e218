"""Token bytes: what text every token of a vocabulary stands for, as bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from tokenizers import Tokenizer as Backend

from runtime.errors import UnsupportedModel

__all__ = ["BYTE_LEVEL", "byte_level", "sentencepiece", "token_bytes"]

BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def _byte_level_alphabet() -> dict[str, int]:
    """GPT-2's alphabet: printable Latin-1 characters stand for themselves, other bytes for characters from U+0100."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    rest = [byte for byte in range(256) if byte not in set(plain)]
    return {chr(byte): byte for byte in plain} | {chr(256 + place): byte for place, byte in enumerate(rest)}


BYTE_LEVEL = _byte_level_alphabet()
"""Character of a byte-level token → the byte it stands for."""

_TO_LATIN1 = str.maketrans({character: chr(byte) for character, byte in BYTE_LEVEL.items()})
_OUTSIDE = re.compile("[^" + re.escape("".join(BYTE_LEVEL)) + "]")


def byte_level(token: str) -> bytes:
    """Bytes of a byte-level BPE token; one with characters outside the alphabet stands for itself."""
    return token.encode() if _OUTSIDE.search(token) else token.translate(_TO_LATIN1).encode("latin-1")


def sentencepiece(token: str) -> bytes:
    """Bytes of a SentencePiece token: `▁` is a space, `<0x0A>` a byte."""
    byte = BYTE_TOKEN.fullmatch(token)
    return bytes.fromhex(byte.group(1)) if byte else token.replace("▁", " ").encode()


def token_bytes(backend: Backend) -> list[bytes | None]:
    """Bytes of tokens 0, 1, 2 … of a tokenizer; None for special tokens and for ids it does not use.

    Raises:
        UnsupportedModel: the tokenizer is neither byte-level nor SentencePiece-like.
    """
    vocabulary = backend.get_vocab(with_added_tokens=True)
    added = backend.get_added_tokens_decoder()
    to_bytes = _reading(backend)
    table: list[bytes | None] = [None] * (max(vocabulary.values(), default=-1) + 1)
    for text, index in vocabulary.items():
        table[index] = to_bytes(text)
    for index, token in added.items():
        table[index] = None if token.special else token.content.encode()
    return table


def _reading(backend: Backend) -> Callable[[str], bytes]:
    decoder = json.loads(backend.decoder.__getstate__()) if backend.decoder is not None else {}
    kinds = {part["type"] for part in decoder.get("decoders", [decoder]) if "type" in part}
    if "ByteLevel" in kinds:
        return byte_level
    if kinds & {"ByteFallback", "Metaspace", "Replace"}:
        return sentencepiece
    raise UnsupportedModel(
        f"tokenizer with decoder {sorted(kinds)} is not supported; supported: byte-level, SentencePiece"
    )
