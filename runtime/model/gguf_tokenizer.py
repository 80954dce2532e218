"""GGUF tokenizer: the byte-level BPE in a GGUF file's metadata, rebuilt for the `tokenizers` library."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from runtime.errors import DamagedModel, UnsupportedModel

__all__ = ["build_backend"]

UNKNOWN, CONTROL, USER_DEFINED, UNUSED = 2, 3, 4, 5
"""Token types of the GGUF specification that need more than an entry in the vocabulary."""

WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = WORDS + r"\p{N}{1,3}" + REST
QWEN2 = WORDS + r"\p{N}" + REST
"""How Llama 3 and Qwen 2 cut text into words: digits by threes, or one by one."""

SPLITS = MappingProxyType(
    {
        "default": "gpt2",
        "gpt-2": "gpt2",
        "smollm": "digits",
        "starcoder": "digits",
        "refact": "digits",
        "codeshell": "digits",
        "llama-bpe": "llama3",
        "llama3": "llama3",
        "llama-v3": "llama3",
        "qwen2": "qwen2",
    }
)
"""`tokenizer.ggml.pre` → how text is cut into words before merging."""


def build_backend(source: object, metadata: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer of a GGUF file.

    Args:
        source: the file, for error messages.
        metadata: its key-value pairs.

    Raises:
        DamagedModel: tokens or merges are missing, or do not fit together.
        UnsupportedModel: no byte-level BPE, or a way of cutting text that is not known here.
    """
    model = metadata.get("tokenizer.ggml.model")
    if model != "gpt2":
        raise UnsupportedModel(
            f"{source}: tokenizer.ggml.model={model!r} is not supported; supported is gpt2 (byte-level BPE)"
        )
    pre = metadata.get("tokenizer.ggml.pre", "default")
    if pre not in SPLITS:
        raise UnsupportedModel(
            f"{source}: tokenizer.ggml.pre={pre!r} is not supported; supported are {', '.join(SPLITS)}"
        )
    tokens, types = metadata.get("tokenizer.ggml.tokens"), metadata.get("tokenizer.ggml.token_type", ())
    merges = metadata.get("tokenizer.ggml.merges")
    if not tokens or merges is None:
        raise DamagedModel(f"{source}: tokenizer.ggml.tokens or tokenizer.ggml.merges is missing")
    unused = {index for index, kind in enumerate(types) if kind == UNUSED}
    vocabulary = {token: index for index, token in enumerate(tokens) if index not in unused}
    split = SPLITS[pre]
    try:
        pairs = [_pair(merge) for merge in merges]
        backend = Tokenizer(models.BPE(vocabulary, pairs, ignore_merges=split == "llama3"))
    except Exception as error:  # the library raises nothing narrower
        raise DamagedModel(f"{source}: tokens and merges do not fit together: {error}") from error
    backend.pre_tokenizer = _pre_tokenizer(split)
    if split == "qwen2":
        backend.normalizer = normalizers.NFC()
    backend.decoder = decoders.ByteLevel()
    marked = list(zip(tokens, types, strict=False))
    backend.add_special_tokens([_added(token, True) for token, kind in marked if kind in (UNKNOWN, CONTROL)])
    backend.add_tokens([_added(token, False) for token, kind in marked if kind == USER_DEFINED])
    return backend


def _pair(merge: str) -> tuple[str, str]:
    left, _, right = merge.partition(" ")
    return left, right


def _added(token: str, special: bool) -> AddedToken:
    return AddedToken(token, special=special, normalized=False)


def _pre_tokenizer(split: str) -> pre_tokenizers.PreTokenizer:
    words = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    if split == "gpt2":
        return words
    if split == "digits":
        return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), words])
    pattern = Regex(LLAMA3 if split == "llama3" else QWEN2)
    cut = pre_tokenizers.Split(pattern, behavior="isolated", invert=False)
    return pre_tokenizers.Sequence([cut, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
