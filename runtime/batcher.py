"""From a step plan (ints) to a forward batch (tensors)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from runtime.batch import ForwardBatch
from runtime.request import Request
from runtime.scheduler.plan import StepPlan, Work

__all__ = ["KnownRows", "Step", "build_step"]

Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class KnownRows:
    """Logits rows of positions whose next token is known: row i predicts the request's token `first + 1 + i`."""

    request: Request
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class Step:
    """A batch, and whose the logits rows are: first one row for each of `sampled`, then those of `known`."""

    batch: ForwardBatch
    sampled: tuple[Request, ...]
    known: tuple[KnownRows, ...]


def build_step(plan: StepPlan, page_size: int) -> Step:
    """Lays a plan's work out in one batch."""
    work = plan.work
    starts = np.zeros(len(work) + 1, dtype=np.int32)
    np.cumsum([piece.num_tokens for piece in work], out=starts[1:])
    extend_rows = int(starts[len(plan.extends)])
    token_ids, positions, slots = _decode_columns(plan.decodes, page_size)
    if extend_rows:
        columns = [_extend_columns(piece, page_size) for piece in plan.extends]
        parts = zip(*columns, (token_ids, positions, slots), strict=True)
        token_ids, positions, slots = (np.concatenate(part) for part in parts)
    sampled, sample_rows = _sampled(work, starts)
    known, known_rows = _known_rows(work, starts)
    batch = ForwardBatch(
        token_ids=torch.from_numpy(token_ids),
        positions=torch.from_numpy(positions),
        out_slots=torch.from_numpy(slots),
        query_starts=torch.from_numpy(starts),
        context_lens=torch.tensor([w.request.cursor + w.num_tokens for w in work], dtype=torch.int32),
        page_table=torch.from_numpy(_page_table(work, page_size)),
        num_decodes=len(plan.decodes),
        logit_rows=torch.tensor(sample_rows + known_rows, dtype=torch.int64),
        page_size=page_size,
    )
    return Step(batch, sampled, known)


def _decode_columns(decodes: Sequence[Work], page_size: int) -> tuple[Int64, Int64, Int64]:
    """Token ids, positions and slots of the one-token sequences."""
    rows = np.empty((3, len(decodes)), dtype=np.int64)
    for i, piece in enumerate(decodes):
        request = piece.request
        position, sequence = request.cursor, request.sequence
        rows[0, i] = request.tokens[position]
        rows[1, i] = position
        # A token whose KV stands (its page may be shared) is run for its logits alone: its KV goes to padding.
        stands = position < sequence.kv_len
        page = 0 if stands else sequence.pages[position // page_size]
        rows[2, i] = 0 if stands else page * page_size + position % page_size
    return rows[0], rows[1], rows[2]


def _extend_columns(piece: Work, page_size: int) -> tuple[Int64, Int64, Int64]:
    request, count = piece.request, piece.num_tokens
    start, sequence = request.cursor, request.sequence
    positions = np.arange(start, start + count, dtype=np.int64)
    pages = np.asarray(sequence.pages[: (start + count - 1) // page_size + 1], dtype=np.int64)
    slots = pages[positions // page_size] * page_size + positions % page_size
    slots[positions < sequence.kv_len] = 0
    return np.asarray(request.tokens[start : start + count], dtype=np.int64), positions, slots


def _page_table(work: Sequence[Work], page_size: int) -> npt.NDArray[np.int32]:
    counts = [(w.request.cursor + w.num_tokens - 1) // page_size + 1 for w in work]
    table = np.zeros((len(work), max(counts, default=1)), dtype=np.int32)
    for row, piece, count in zip(table, work, counts, strict=True):
        row[:count] = piece.request.sequence.pages[:count]
    return table


def _sampled(work: Sequence[Work], starts: npt.NDArray[np.int32]) -> tuple[tuple[Request, ...], list[int]]:
    pairs = [
        (piece.request, int(end) - 1)
        for piece, end in zip(work, starts[1:], strict=True)
        if piece.completes and piece.request.num_remaining > 0
    ]
    return tuple(request for request, _ in pairs), [row for _, row in pairs]


def _known_rows(work: Sequence[Work], starts: npt.NDArray[np.int32]) -> tuple[tuple[KnownRows, ...], list[int]]:
    known: list[KnownRows] = []
    rows: list[int] = []
    for piece, start in zip(work, starts, strict=False):
        request = piece.request
        if request.logits_from is None:
            continue
        first = max(request.cursor, request.logits_from)
        count = min(request.cursor + piece.num_tokens, len(request.tokens) - 1) - first
        if count > 0:
            known.append(KnownRows(request, first, count))
            row = int(start) + first - request.cursor
            rows.extend(range(row, row + count))
    return tuple(known), rows
