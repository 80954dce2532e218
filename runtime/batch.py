"""ForwardBatch: one step's work as tensors, the border between deciding (ints) and computing (tensors)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

__all__ = ["ForwardBatch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardBatch:
    """T tokens of B sequences. Extends come first, then `num_decodes` sequences of exactly one token each.

    The KV of every token is written to `out_slots` before attention runs, so attention reads all keys and values,
    the new ones included, through `page_table`. Page 0 is padding: a token whose KV already stands in the pool
    (it is run again only for its logits) has out_slot 0, where anything may be written and nothing is read.

    Attributes:
        token_ids: int64 [T].
        positions: int64 [T], place of each token in its sequence.
        out_slots: int64 [T], slot each token's KV is written to (page * page_size + offset).
        query_starts: int32 [B + 1], sequence b owns rows query_starts[b]:query_starts[b + 1].
        context_lens: int32 [B], keys sequence b attends to, its own new tokens included. A query at position p
            attends to keys 0..p.
        page_table: int32 [B, P], page ids in order; position i of sequence b is in slot
            page_table[b, i // page_size] * page_size + i % page_size. Padded with 0.
        num_decodes: how many sequences at the end have exactly one query token.
        logit_rows: int64 [R], rows of T whose logits are wanted, in the order they come back.
        page_size: slots a page.
    """

    token_ids: torch.Tensor
    positions: torch.Tensor
    out_slots: torch.Tensor
    query_starts: torch.Tensor
    context_lens: torch.Tensor
    page_table: torch.Tensor
    num_decodes: int
    logit_rows: torch.Tensor
    page_size: int

    @property
    def num_tokens(self) -> int:
        """T, the tokens run through the model in this step."""
        return self.token_ids.shape[0]

    @property
    def num_sequences(self) -> int:
        """B."""
        return self.context_lens.shape[0]
