"""Identity of a model and its KV: what has to be the same for KV that was kept to be used again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.memory.tiers.keys import fingerprint
from runtime.model.config import ModelConfig
from runtime.model.hub import ModelFiles

if TYPE_CHECKING:
    from runtime.attention.base import KVPool

__all__ = ["kv_identity", "weights_identity"]


def weights_identity(files: ModelFiles) -> str:
    """A digest that is another one as soon as any byte of the weights is. Reads every file of them once.

    Raises:
        OSError: a file cannot be read.
    """
    whole = hashlib.blake2b(digest_size=32)
    for path in _weight_files(files.path):
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "blake2b").digest())
    return whole.hexdigest()


def _weight_files(path: Path) -> list[Path]:
    return sorted(path.glob("*.safetensors")) if path.is_dir() else [path]


def kv_identity(
    weights: str,
    shape: ModelConfig,
    vocabulary: Sequence[bytes | None],
    pool: KVPool,
    described: Mapping[str, str],
) -> bytes:
    """32 bytes, other ones where the same text may come to have other keys and values, or have them kept otherwise.

    Args:
        weights: what `weights_identity` gave.
        shape: sizes and constants of the model, those of its rotary embeddings too.
        vocabulary: each token's bytes.
        pool: how keys and values are kept.
        described: what computes them, by name (see `ModelRunner.describe`); the number of threads changes no bit.
    """
    tokens = hashlib.blake2b(digest_size=32)
    for token in vocabulary:
        known = b"" if token is None else b"\x01" + token
        tokens.update(len(known).to_bytes(4, "little") + known)
    kept = f"{pool.keys.dtype} {pool.page_size} {pool.page_bytes}"
    kernels = [f"{key}={value}" for key, value in sorted(described.items()) if key != "threads"]
    return fingerprint(weights, repr(shape), tokens.hexdigest(), kept, *kernels)
