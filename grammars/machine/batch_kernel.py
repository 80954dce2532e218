"""The kernel that fills the masks of a batch, each row from its own grammar's tables. Imports numba."""

from __future__ import annotations

from typing import Any

from numba import carray, types
from numba.extending import intrinsic

from grammars.machine.scratch import HITS_USED, MISSES_USED, OVERFLOW
from grammars.machine.walk import fill

__all__ = ["GRAMMAR_FIELDS", "fill_rows"]

GRAMMAR_FIELDS = 6
"""What a row of the batch's table says: address and length of the heap, address and number of the grammar's masks,
first thread and number of threads."""


@intrinsic
def _ints_at(typing: Any, address: Any) -> Any:
    """The int32 array at an address that Python handed over as an integer."""
    del typing, address

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.int32)(types.int64), generate


@intrinsic
def _words_at(typing: Any, address: Any) -> Any:
    """The uint32 array at an address."""
    del typing, address

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.uint32)(types.int64), generate


def fill_rows(
    v: Any, shared: Any, grammars: Any, places: Any, threads: Any, out: Any, x: Any, spare: Any, status: Any
) -> None:
    """Fills rows of masks; `grammars.machine.walk.fill` for each.

    Args:
        v, shared, x, spare: as in `fill`.
        grammars: int64 [R, GRAMMAR_FIELDS].
        places: int64 [R], the row of `out` to fill.
        threads: int32 [T, 3], those of all rows.
        out: uint32 [.., W].
        status: int32 [R], gets 0 where the mask is whole, else 1: it is to be filled again by its matcher.
    """
    for row in range(len(grammars)):
        heap = carray(_ints_at(grammars[row, 0]), (grammars[row, 1],))
        masks = carray(_words_at(grammars[row, 2]), (grammars[row, 3], out.shape[1]))
        first = grammars[row, 4]
        fill(heap, v, masks, shared, threads[first : first + grammars[row, 5]], out[places[row]], x, spare)
        status[row] = 1 if x[MISSES_USED] + x[OVERFLOW] + x[HITS_USED] > 0 else 0
