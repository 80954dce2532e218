"""The reference: gather each sequence's keys and values, then softmax attention in float32."""

from __future__ import annotations

import torch

from runtime.attention.base import KVPool
from runtime.batch import ForwardBatch

__all__ = ["TorchAttention", "slots_of"]


def slots_of(pages: torch.Tensor, num_tokens: int, page_size: int) -> torch.Tensor:
    """Slots (int64 [num_tokens]) of positions 0 … num_tokens - 1 of a sequence whose page ids are `pages` [P]."""
    num_pages = -(-num_tokens // page_size)
    starts = pages[:num_pages].to(torch.int64) * page_size
    return (starts.unsqueeze(1) + torch.arange(page_size)).view(-1)[:num_tokens]


class TorchAttention:
    """Plain and always right; every other backend is tested against it."""

    name = "torch"

    def __init__(self) -> None:
        self._sequences: list[tuple[int, int, torch.Tensor, torch.Tensor]] = []
        self._num_tokens = 0

    def prepare(self, batch: ForwardBatch) -> None:
        """Finds every sequence's rows, slots and causal mask."""
        self._sequences = []
        self._num_tokens = batch.num_tokens
        starts = batch.query_starts.tolist()
        for index, length in enumerate(batch.context_lens.tolist()):
            first, end = starts[index], starts[index + 1]
            slots = slots_of(batch.page_table[index], length, batch.page_size)
            hidden = torch.arange(length) > batch.positions[first:end].unsqueeze(1)
            self._sequences.append((first, end, slots, hidden))

    def attend(self, layer: int, queries: torch.Tensor, pool: KVPool) -> torch.Tensor:
        """See `AttentionBackend.attend`."""
        result = queries.new_empty(self._num_tokens, *queries.shape[1:])
        group = queries.shape[1] // pool.keys.shape[2]
        scale = queries.shape[2] ** -0.5
        for first, end, slots, hidden in self._sequences:
            keys, values = (part.repeat_interleave(group, dim=1) for part in pool.read(layer, slots))
            scores = torch.einsum("qhd,khd->hqk", queries[first:end].float(), keys) * scale
            weights = scores.masked_fill_(hidden, float("-inf")).softmax(dim=-1)
            result[first:end] = torch.einsum("hqk,khd->qhd", weights, values)
        return result

    def job_on(self, pool: KVPool, queries: int, query_stride: int, out: int) -> None:
        """See `AttentionBackend`: there is none."""
