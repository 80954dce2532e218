"""The masks of many matchers in one call."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from grammars.machine.matcher import MachineMatcher

__all__ = ["fill_batch"]


def fill_batch(
    matchers: Sequence[MachineMatcher],
    places: Sequence[int],
    out: npt.NDArray[np.int32],
    errors: dict[int, Exception] | None = None,
) -> None:
    """Overwrites row `places[i]` of `out` with what matcher i allows. The GIL is released meanwhile.

    Args:
        matchers: of one vocabulary; their grammars may differ.
        places: rows of `out`, all different.
        out: int32 [R, W].
        errors: gets what went wrong by the row of `out`, whose content means nothing then; None has it raised.

    Raises:
        GrammarLimit: one of the texts has too many readings, or takes too long; the other rows may not be filled then.
    """
    tables = matchers[0].machine.tables
    fill_rows = tables.kernels.fill_rows
    rest = list(range(len(matchers)))
    if fill_rows is not None:
        machines = [matcher.machine for matcher in matchers]
        # Held on to, so that no table that is replaced by a larger one meanwhile goes away.
        held = [(machine.heap.held, machine.lexemes.held) for machine in machines]
        # Those of many threads are left to their matchers, which follow them together.
        threads = [
            matcher.threads if len(matcher.threads) <= matcher.machine.many_threads else matcher.threads[:0]
            for matcher in matchers
        ]
        table, first = [], 0
        for ((heap, heap_at), (slots, slots_at)), own in zip(held, threads, strict=True):
            table.append((heap_at, len(heap), slots_at, len(slots), first, len(own)))
            first += len(own)
        grammars = np.array(table, np.int64)
        status = np.empty(len(matchers), np.int32)
        scratch = tables.take_scratch()
        words = out.view(np.uint32)
        where, spare = np.array(places, np.int64), np.empty(tables.num_words, np.uint32)
        fill_rows(tables.trie, tables.shared, grammars, where, np.concatenate(threads), words, scratch, spare, status)
        tables.give_scratch(scratch)
        status[[not len(own) for own in threads]] = 1
        rest = np.flatnonzero(status).tolist()
    for index in rest:
        try:
            matchers[index].mask_into(out[places[index]])
        except Exception as error:
            if errors is None:
                raise
            errors[places[index]] = error
