"""ModelRunner: one step's batch in, logits out. The border where deciding ends and computing begins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch

from runtime.attention.base import AttentionBackend, KVPool
from runtime.batch import ForwardBatch
from runtime.model.llama import Llama
from runtime.model.rotation import rotated

__all__ = ["ModelRunner"]


class ModelRunner:
    """Runs batches through one model with one attention backend over one pool.

    Args:
        model: the weights and the forward pass.
        pool: where keys and values are kept; who owns which slot is decided elsewhere.
        attention: how the pool is read.
    """

    def __init__(self, model: Llama, pool: KVPool, attention: AttentionBackend) -> None:
        self._model = model
        self._pool = self.pool = pool
        self._attention = attention

    def run(self, batch: ForwardBatch) -> torch.Tensor:
        """Computes the batch and returns float32 logits [R, vocab_size] of its `logit_rows`, in their order."""
        with torch.inference_mode():
            return self._model.forward(batch, self._pool, self._attention)

    def copy_slots(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Copies keys and values of all layers from slot to slot, for every (source, target)."""
        with torch.inference_mode():
            for source, target, count in _runs(pairs):
                self._pool.copy(source, target, count)

    def take_kv(self, slots: Sequence[int], start: int, moved_to: int) -> object:
        """A copy of the KV of consecutive tokens, as if the first of them stood at position `moved_to`, not `start`.

        Values know no position; keys are rotated on by the difference. What the tokens attended to stays as it was.

        Args:
            slots: where it is.
        """
        with torch.inference_mode():
            keys, values = self._pool.take(torch.tensor(slots, dtype=torch.int64))
            places = torch.arange(len(slots), dtype=torch.int64)
            return rotated(keys, *self._model.rotary.between(places + start, places + moved_to)), values

    def put_kv(self, slots: Sequence[int], kv: object, first: int) -> None:
        """Puts what `take_kv` gave into slots, from its token `first` on."""
        keys, values = cast("tuple[torch.Tensor, torch.Tensor]", kv)
        end = first + len(slots)
        with torch.inference_mode():
            self._pool.put(torch.tensor(slots, dtype=torch.int64), keys[:, first:end], values[:, first:end])

    def warm_up(self) -> None:
        """Loads kernels and runs one tiny batch, on the padding page, so that the first request is not slow."""
        page_size = self._pool.page_size
        one = torch.ones(1, dtype=torch.int32)
        zero = torch.zeros(1, dtype=torch.int64)
        self.run(
            ForwardBatch(
                token_ids=zero,
                positions=zero,
                out_slots=zero,
                query_starts=torch.tensor([0, 1], dtype=torch.int32),
                context_lens=one,
                page_table=torch.zeros(1, 1, dtype=torch.int32),
                num_decodes=1,
                logit_rows=zero,
                page_size=page_size,
            )
        )

    def describe(self) -> dict[str, str]:
        """What runs: weight format, attention backend and threads, by name."""
        return {
            "weight_format": self._model.weight_format,
            "attention": self._attention.name,
            "layers": self._model.ops_name,
            "threads": str(torch.get_num_threads()),
        }


def _runs(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """The pairs as runs of slots that follow each other on both sides: one copy each is many times as fast."""
    runs: list[tuple[int, int, int]] = []
    for source, target in pairs:
        if runs and (source, target) == (runs[-1][0] + runs[-1][2], runs[-1][1] + runs[-1][2]):
            runs[-1] = (runs[-1][0], runs[-1][1], runs[-1][2] + 1)
        else:
            runs.append((source, target, 1))
    return runs
