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

__all__ = ["Batcher", "KnownRows", "Step", "build_step"]

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


class Batcher:
    """Lays plans out as `build_step` does, and keeps what a step of the same decodes shares with the one before.

    Args:
        page_size: slots a page.
    """

    def __init__(self, page_size: int) -> None:
        self._page_size = page_size
        self._requests: tuple[Request, ...] = ()
        self._pages: list[list[int]] = []
        self._last: list[int] = []
        self._table: npt.NDArray[np.int32] = np.empty((0, 0), dtype=np.int32)
        self._starts = self._rows = torch.empty(0)

    def build(self, plan: StepPlan) -> Step:
        """Lays a plan's work out in one batch. What it gave before stays as it is."""
        step = self._go_on(plan.decodes) if self._requests and not plan.extends else None
        if step is None:
            step = build_step(plan, self._page_size)
            self._remember(plan, step)
        return step

    def _remember(self, plan: StepPlan, step: Step) -> None:
        batch, decodes = step.batch, plan.decodes
        self._requests = () if plan.extends else tuple(work.request for work in decodes)
        self._pages = [list(request.sequence.pages) for request in self._requests]
        self._last = [request.cursor // self._page_size for request in self._requests]
        self._table, self._starts = batch.page_table.numpy(), batch.query_starts
        self._rows = torch.arange(len(decodes), dtype=torch.int64)

    def _go_on(self, decodes: Sequence[Work]) -> Step | None:
        """The next step of the same requests; None where anything is out of the ordinary."""
        size, requests = self._page_size, self._requests
        if len(decodes) != len(requests):
            return None
        columns: list[tuple[int, int, int]] = []
        turned: list[tuple[int, int]] = []
        for place, (request, _) in enumerate(decodes):
            position, tokens, sequence = request.cursor, request.tokens, request.sequence
            length, pages = len(tokens), sequence.pages
            is_plain = length - position == 1 and length < request.max_length and request.logits_from is None
            if not is_plain or request is not requests[place]:
                return None
            page = position // size
            if page != self._last[place] or pages != self._pages[place]:
                turned.append((place, page))
            slot = 0 if position < sequence.kv_len else pages[page] * size + position % size
            columns.append((tokens[position], position, slot))
        if turned and not self._turn(turned):
            return None
        token_ids, positions, slots = np.ascontiguousarray(np.array(columns, dtype=np.int64).T)
        batch = ForwardBatch(
            token_ids=torch.from_numpy(token_ids),
            positions=torch.from_numpy(positions),
            out_slots=torch.from_numpy(slots),
            query_starts=self._starts,
            context_lens=torch.from_numpy((positions + 1).astype(np.int32)),
            page_table=torch.from_numpy(self._table),
            num_decodes=len(requests),
            logit_rows=self._rows,
            page_size=size,
        )
        return Step(batch, requests, ())

    def _turn(self, places: Sequence[tuple[int, int]]) -> bool:
        """Writes the page tables of requests anew, up to the page given for each; False where they do not fit."""
        last = self._last.copy()
        for place, page in places:
            last[place] = page
        if max(last) + 1 != self._table.shape[1]:
            return False
        self._last, self._table = last, self._table.copy()
        for place, page in places:
            pages = self._pages[place] = self._requests[place].sequence.pages.copy()
            self._table[place, : page + 1] = pages[: page + 1]
            self._table[place, page + 1 :] = 0
        return True


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
