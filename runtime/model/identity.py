"""Identity of a model's weights: the digest of its files' content."""

from __future__ import annotations

import hashlib
from pathlib import Path

from runtime.model.hub import ModelFiles

__all__ = ["weights_identity"]


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
