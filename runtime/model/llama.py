"""Llama and everything built like it (SmolLM2, Mistral): one step over a packed batch."""

from __future__ import annotations

from collections.abc import Callable

import torch

from runtime.attention.base import AttentionBackend, KVPool
from runtime.batch import ForwardBatch
from runtime.model.config import ModelConfig
from runtime.model.layer import LlamaLayer
from runtime.model.layers import Angles, Ops, Rotary
from runtime.model.linear import Linear
from runtime.model.step import Step

__all__ = ["Llama"]


class Llama:
    """Token ids to logits.

    Args:
        config: shape and constants.
        weight_format: name of the format the matrices are in (see `runtime.model.linear`).
        embedding: token ids (int64 [T]) to float32 [T, hidden_size], memory of its own.
        layers: from first to last.
        norm: float32 [hidden_size], before the head.
        head: hidden_size to vocab_size.
        ops: how everything but matrices and attention is computed.
    """

    def __init__(
        self,
        *,
        config: ModelConfig,
        weight_format: str,
        embedding: Callable[[torch.Tensor], torch.Tensor],
        layers: tuple[LlamaLayer, ...],
        norm: torch.Tensor,
        head: Linear,
        ops: Ops,
    ) -> None:
        self.config = config
        self.weight_format = weight_format
        self.ops_name = ops.name
        self._embedding = embedding
        self._layers = layers
        self._norm = norm
        self._head = head
        self._ops = ops
        self.rotary = Rotary(config)
        is_tied = embedding == getattr(head, "rows", None)
        self._step = Step.of(config, layers, norm, head, self.rotary, is_tied) if ops.name == "cpu" else None

    def _place(self, index: int, heads: torch.Tensor, angles: Angles, slots: torch.Tensor, pool: KVPool) -> None:
        """Rotates queries and keys in place, and stores keys and values: as they are, or rounded by the pool."""
        if pool.is_exact:
            self._ops.place(heads, angles, slots, pool.layer(index))
            return
        rows, _, dim = heads.shape
        keys, values = heads.new_empty(2, rows, self.config.num_kv_heads, dim)
        self._ops.place(heads, angles, torch.arange(rows), (keys, values))
        pool.write(index, slots, keys, values)

    def forward(self, batch: ForwardBatch, pool: KVPool, attention: AttentionBackend) -> torch.Tensor:
        """Runs the batch, writing its keys and values into the pool.

        Returns:
            float32 [R, vocab_size], the logits of `batch.logit_rows`.
        """
        attention.prepare(batch)
        if self._step is not None and pool.is_exact:
            hidden = None if self._step.embeds else self._embedding(batch.token_ids)
            logits = self._step.run(hidden, batch, pool, attention)
            if logits is not None:
                return logits
        return self._by_kernels(batch, pool, attention)

    def _by_kernels(self, batch: ForwardBatch, pool: KVPool, attention: AttentionBackend) -> torch.Tensor:
        hidden = self._embedding(batch.token_ids)
        config, angles = self.config, self.rotary.rows(batch.positions)
        last = len(self._layers) - 1
        for index, layer in enumerate(self._layers):
            qkv = layer.qkv(self._ops.rms_norm(hidden, layer.attention_norm, config.rms_norm_eps))
            heads = qkv.view(qkv.shape[0], -1, config.head_dim)
            self._place(index, heads, angles, batch.out_slots, pool)
            if index == last and not batch.logit_rows.numel():
                break
            attended = attention.attend(index, heads[:, : config.num_heads], pool).view(hidden.shape[0], -1)
            if index == last:
                attended = attended.index_select(0, batch.logit_rows)
                hidden = hidden.index_select(0, batch.logit_rows)
            layer.output.add_to(hidden, attended)
            gate_up = layer.gate_up(self._ops.rms_norm(hidden, layer.mlp_norm, config.rms_norm_eps))
            layer.down.add_to(hidden, self._ops.swiglu(gate_up))
        if not batch.logit_rows.numel():
            return hidden.new_empty(0, config.vocab_size)
        return self._head(self._ops.rms_norm(hidden, self._norm, config.rms_norm_eps))
