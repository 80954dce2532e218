"""SafetensorsFolder: the tensors of a folder of safetensors files, in one file or many shards."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from runtime.errors import DamagedModel
from runtime.model.shards import shard_names

__all__ = ["SafetensorsFolder"]


class SafetensorsFolder:
    """The open shards of one model; a context manager.

    Attributes:
        names: of all tensors.

    Raises:
        DamagedModel: a shard is missing or cut short.
    """

    def __init__(self, folder: Path) -> None:
        self._shards: dict[str, Any] = {}
        self._paths: dict[str, Path] = {}
        with ExitStack() as stack:
            for file_name in shard_names(folder):
                path = folder / file_name
                if not path.is_file():
                    raise DamagedModel(f"{path}: shard is missing")
                try:
                    shard = stack.enter_context(safe_open(path, framework="pt"))
                except (SafetensorError, OSError) as error:
                    raise DamagedModel(f"{path}: damaged safetensors file: {error}") from error
                for name in shard.keys():  # noqa: SIM118 - it is no mapping
                    self._shards[name], self._paths[name] = shard, path
            self._stack = stack.pop_all()
        self.names = tuple(self._shards)

    def tensor(self, name: str) -> torch.Tensor:
        """One tensor as float32.

        Raises:
            DamagedModel: its bytes cannot be read.
        """
        try:
            tensor: torch.Tensor = self._shards[name].get_tensor(name)
        except SafetensorError as error:
            raise DamagedModel(f"{self._paths[name]}: tensor {name}: {error}") from error
        return tensor.to(torch.float32)

    def __enter__(self) -> SafetensorsFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
