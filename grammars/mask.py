"""Masks of many rows: filled from matchers, unpacked to booleans."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from grammars.grammar import Matcher

__all__ = ["fill_masks", "unpack"]


def fill_masks(
    matchers: Sequence[Matcher | None], out: npt.NDArray[np.int32], errors: dict[int, Exception] | None = None
) -> None:
    """Overwrites `out` with what may come next in each row; everything may where there is no matcher.

    Rows of the project's own engine are filled in one call that releases the GIL.

    Args:
        matchers: one for each row.
        out: int32 [R, ceil(V / 32)], token t of a row is bit t % 32 of its word t // 32.
        errors: gets what went wrong by row, and the other rows are filled; None has it raised.

    Raises:
        ValueError: there are more or fewer rows than matchers.
        GrammarLimit: a text has too many readings, or takes too long; other rows may not be filled then.
    """
    if len(matchers) != len(out):
        raise ValueError(f"out: {len(out)} rows for {len(matchers)} matchers")
    from grammars.machine.batch import fill_batch
    from grammars.machine.matcher import MachineMatcher

    together: dict[object, list[tuple[MachineMatcher, int]]] = {}
    for place, (matcher, row) in enumerate(zip(matchers, out, strict=True)):
        if matcher is None:
            row.fill(-1)
        elif isinstance(matcher, MachineMatcher):
            together.setdefault(matcher.machine.tables, []).append((matcher, place))
        else:
            try:
                matcher.mask_into(row)
            except Exception as error:
                if errors is None:
                    raise
                errors[place] = error
    for group in together.values():
        fill_batch([matcher for matcher, _ in group], [place for _, place in group], out, errors)


def unpack(words: npt.NDArray[np.int32], vocab_size: int) -> npt.NDArray[np.bool_]:
    """Masks as booleans.

    Args:
        words: int32 [R, W], contiguous in its last axis.
        vocab_size: V, at most 32 * W.

    Returns:
        bool [R, V], True where the token is allowed.

    Raises:
        ValueError: the rows are too short for `vocab_size`.
    """
    if vocab_size > words.shape[1] * 32:
        raise ValueError(f"vocab_size: {vocab_size} is more than the {words.shape[1] * 32} bits of a row")
    as_bytes = words.astype("<i4", copy=False).view(np.uint8)
    return np.unpackbits(as_bytes, axis=1, count=vocab_size, bitorder="little").view(np.bool_)
