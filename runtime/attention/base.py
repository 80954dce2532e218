"""The interface between the model and whatever computes attention over the paged KV pool."""

from __future__ import annotations

from typing import Protocol

import torch

from runtime.batch import ForwardBatch

__all__ = ["AttentionBackend", "KVPool"]


class KVPool:
    """The keys and values of every slot and layer, in float32. Knows nothing of who owns a slot (see `runtime.ledger`).

    Args:
        num_layers, num_pages, page_size, num_kv_heads, head_dim: shape; `num_pages` counts the padding page 0.
    """

    def __init__(
        self,
        *,
        num_layers: int,
        num_pages: int,
        page_size: int,
        num_kv_heads: int,
        head_dim: int,
    ) -> None:
        self.page_size = page_size
        self.num_slots = num_pages * page_size
        shape = (num_layers, self.num_slots, num_kv_heads, head_dim)
        # Left unwritten on purpose: the operating system hands out the memory as pages are first used.
        self.keys = torch.empty(shape)
        self.values = torch.empty(shape)
        self._layers = tuple(zip(self.keys.unbind(0), self.values.unbind(0), strict=True))
        # By numpy, in the calling thread: torch shares a copy of some kilobytes out, and waits for the slowest thread.
        self._stores = tuple(store.view(torch.uint8).numpy() for store in (self.keys, self.values))
        # Padding rows are read by nobody, yet must never hold a NaN that a masked product could spread.
        self.keys[:, :page_size].zero_()
        self.values[:, :page_size].zero_()

    def layer(self, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values of one layer, [num_slots, num_kv_heads, head_dim] each, to be read and written in place."""
        return self._layers[layer]

    def copy(self, source: int, target: int, count: int) -> None:
        """Copies all layers of `count` slots from `source` on to those from `target` on: a fork's tail."""
        for store in self._stores:
            store[:, target : target + count] = store[:, source : source + count]

    def take(self, slots: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values of slots (int64 [N]), a copy: [num_layers, N, num_kv_heads, head_dim] each."""
        return self.keys[:, slots], self.values[:, slots]

    def put(self, slots: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Writes what `take` gave into slots."""
        self.keys[:, slots] = keys
        self.values[:, slots] = values

    @property
    def num_bytes(self) -> int:
        """Bytes reserved for keys and values together."""
        return 2 * self.keys.numel() * self.keys.element_size()


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
