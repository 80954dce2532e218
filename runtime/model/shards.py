"""Shards: which safetensors files make up a model's folder."""

from __future__ import annotations

import json
from pathlib import Path

from runtime.errors import DamagedModel

__all__ = ["shard_names"]

INDEX = "model.safetensors.index.json"


def shard_names(folder: Path) -> list[str]:
    """File names of the shards: those the index lists, or every safetensors file where there is no index.

    Raises:
        DamagedModel: the index is unreadable.
    """
    index = folder / INDEX
    if not index.is_file():
        return sorted(path.name for path in folder.glob("*.safetensors"))
    try:
        return sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedModel(f"{index}: not an index of safetensors shards: {error!r}") from error
