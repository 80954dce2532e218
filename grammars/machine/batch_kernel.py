"""The kernel that fills the masks of a batch, each row from its own grammar's tables. Imports numba."""

from __future__ import annotations

from typing import Any

import numba
from numba import types
from numba.extending import intrinsic

from grammars.machine.fill import fill
from grammars.machine.scratch import HITS_USED, MISSES_USED, OVERFLOW

__all__ = ["GRAMMAR_FIELDS", "fill_rows"]

GRAMMAR_FIELDS = 6
"""What a row of the batch's table says: address and length of the heap, address and number of the grammar's masks,
first thread and number of threads."""


def _pointer_to(kind: Any) -> Any:
    """The function that takes an address handed over as an integer for that of an array."""

    def at(typing: Any, address: Any) -> Any:
        del typing, address

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

        return make_pointer(kind)(types.int64), generate

    return intrinsic(at)


make_pointer: Any = types.CPointer
carray: Any = numba.carray  # type: ignore[attr-defined]
ints_at, words_at = _pointer_to(types.int32), _pointer_to(types.uint32)


def fill_rows(
    v: Any, shared: Any, grammars: Any, places: Any, threads: Any, out: Any, x: Any, spare: Any, status: Any
) -> None:
    """Fills rows of masks; `grammars.machine.fill.fill` for each.

    Args:
        v, shared, x, spare: as in `fill`.
        grammars: int64 [R, GRAMMAR_FIELDS].
        places: int64 [R], the row of `out` to fill.
        threads: int32 [T, 3], those of all rows.
        out: uint32 [.., W].
        status: int32 [R], gets 0 where the mask is whole, else 1: it is to be filled again by its matcher.
    """
    for row in range(len(grammars)):
        heap = carray(ints_at(grammars[row, 0]), (grammars[row, 1],))
        masks = carray(words_at(grammars[row, 2]), (grammars[row, 3], out.shape[1]))
        first = grammars[row, 4]
        fill(heap, v, masks, shared, threads[first : first + grammars[row, 5]], out[places[row]], x, spare)
        status[row] = 1 if x[MISSES_USED] + x[OVERFLOW] + x[HITS_USED] > 0 else 0
