"""The interface between the model and whatever computes attention over the paged KV pool."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import torch

from runtime.batch import ForwardBatch

__all__ = ["KV_DTYPES", "AttentionBackend", "KVPool"]

KV_DTYPES: Mapping[str, torch.dtype] = MappingProxyType(
    {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16, "int8": torch.int8}
)
LARGEST_INT8 = 127
SMALLEST_SCALE = 1e-30


class KVPool:
    """The keys and values of every slot and layer. Knows nothing of who owns a slot (see `runtime.ledger`).

    Args:
        num_layers, num_pages, page_size, num_kv_heads, head_dim: shape; `num_pages` counts the padding page 0.
        dtype: what they are kept in. In int8 every slot and head has a float32 scale.

    Attributes:
        keys, values: [num_layers, num_slots, num_kv_heads, head_dim]; `scales` likewise without the last, for each.
        layer_bytes: of the keys, or the values, of one layer.
    """

    def __init__(
        self,
        *,
        num_layers: int,
        num_pages: int,
        page_size: int,
        num_kv_heads: int,
        head_dim: int,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.page_size = page_size
        self.num_slots = num_pages * page_size
        shape = (num_layers, self.num_slots, num_kv_heads, head_dim)
        # Left unwritten on purpose: the operating system hands out the memory as pages are first used.
        self.keys = torch.empty(shape, dtype=dtype)
        self.values = torch.empty(shape, dtype=dtype)
        self.scales = tuple(torch.empty(shape[:3]) for _ in range(2)) if dtype is torch.int8 else ()
        self.layer_bytes = self.keys[0].nbytes
        self._layers = tuple(zip(self.keys.unbind(0), self.values.unbind(0), strict=True))
        # By numpy, in the calling thread: torch shares a copy of some kilobytes out, and waits for the slowest thread.
        stores = (self.keys, self.values, *self.scales)
        self._stores = tuple(store.view(torch.uint8).numpy() for store in stores)
        # Padding rows are read by nobody, yet must never hold a NaN that a masked product could spread.
        for store in stores:
            store[:, :page_size].zero_()

    @staticmethod
    def bytes_per_token(num_layers: int, num_kv_heads: int, head_dim: int, dtype: torch.dtype) -> int:
        """Bytes that keys and values of one slot take over all layers."""
        scale = torch.float32.itemsize if dtype is torch.int8 else 0
        return 2 * num_layers * num_kv_heads * (head_dim * dtype.itemsize + scale)

    @property
    def is_exact(self) -> bool:
        """Whether what is written is what is read: float32."""
        return self.keys.dtype is torch.float32

    def layer(self, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values of one layer, [num_slots, num_kv_heads, head_dim] each, to be read and written in place."""
        return self._layers[layer]

    def copy(self, source: int, target: int, count: int) -> None:
        """Copies all layers of `count` slots from `source` on to those from `target` on, bit for bit: a fork's tail."""
        for store in self._stores:
            store[:, target : target + count] = store[:, source : source + count]

    def take(self, slots: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values of slots (int64 [N]), a float32 copy: [num_layers, N, num_kv_heads, head_dim] each."""
        return self._read(slice(None), slots)

    def read(self, layer: int, slots: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values of slots (int64 [N]) in one layer, a float32 copy: [N, num_kv_heads, head_dim] each."""
        return self._read(layer, slots)

    def _read(self, layers: int | slice, slots: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        keys, values = self.keys[layers, slots].float(), self.values[layers, slots].float()
        if self.scales:
            keys *= self.scales[0][layers, slots].unsqueeze(-1)
            values *= self.scales[1][layers, slots].unsqueeze(-1)
        return keys, values

    def put(self, slots: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Writes what `take` gave into slots."""
        self._write(slice(None), slots, keys, values)

    def write(self, layer: int, slots: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Writes float32 keys and values [N, num_kv_heads, head_dim] into slots of one layer, rounded to the dtype."""
        self._write(layer, slots, keys, values)

    def _write(self, layers: int | slice, slots: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> None:
        for place, (store, rows) in enumerate(((self.keys, keys), (self.values, values))):
            if self.scales:
                scale = (rows.abs().amax(dim=-1) / LARGEST_INT8).clamp_min_(SMALLEST_SCALE)
                self.scales[place][layers, slots] = scale
                rows = (rows / scale.unsqueeze(-1)).round_()
            store[layers, slots] = rows.to(store.dtype)

    @property
    def page_bytes(self) -> int:
        """Bytes of one page's keys and values."""
        return sum(store[:, : self.page_size].nbytes for store in self._stores)

    def read_page(self, page: int) -> bytes:
        """Keys and values of one page, as `write_page` takes them."""
        first = page * self.page_size
        return b"".join(store[:, first : first + self.page_size].tobytes() for store in self._stores)

    def write_page(self, page: int, payload: bytes) -> None:
        """Writes what `read_page` gave into a page."""
        first, offset, content = page * self.page_size, 0, np.frombuffer(payload, np.uint8)
        for store in self._stores:
            target = store[:, first : first + self.page_size]
            target[:] = content[offset : offset + target.nbytes].reshape(target.shape)
            offset += target.nbytes

    @property
    def num_bytes(self) -> int:
        """Bytes reserved for keys and values together."""
        return sum(int(store.nbytes) for store in self._stores)


class AttentionBackend(Protocol):
    """Attention of one batch over the paged pool. Keys and values of the batch are already written."""

    name: str

    def prepare(self, batch: ForwardBatch) -> None:
        """Called once a step before the first layer, for whatever all layers share."""

    def attend(self, layer: int, queries: torch.Tensor, pool: KVPool) -> torch.Tensor:
        """Causal attention with scale 1/sqrt(head_dim) for the prepared batch.

        Args:
            layer: which layer's keys and values to read.
            queries: [T, num_heads, head_dim], rotated. Query head h reads KV head h // (num_heads // num_kv_heads).
            pool: the KV pool.

        Returns:
            [T, num_heads, head_dim] in the queries' dtype.
        """

    def job_on(self, pool: KVPool, queries: int, query_stride: int, out: int) -> np.ndarray[Any, Any] | None:
        """Hands the prepared batch over to whoever computes a whole step in one function.

        Args:
            queries, out: addresses, as in `runtime.attention.job.ATTENTION_JOB`, and `query_stride` in floats.

        Returns:
            An `ATTENTION_JOB`, good until the next `prepare`; None where attention is computed in another way.
        """
