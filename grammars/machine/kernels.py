"""The machine's functions, compiled by numba where it is installed and plain Python where it is not."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from grammars.machine import step as one_byte
from grammars.machine import walk as tokens

__all__ = ["Kernels", "compiled_kernels", "plain_kernels"]

_LOG = logging.getLogger(__name__)

HELPERS = [
    one_byte.frame_of,
    one_byte.below,
    one_byte.new_cell,
    one_byte.miss,
    one_byte.lookup,
    one_byte.is_counted_out,
    one_byte._key_is_alive,
    one_byte.arrive,
    one_byte._pend,
    one_byte._return_to,
    one_byte._jump,
    one_byte.apply,
    one_byte.step,
    tokens.begin_call,
    tokens.set_tokens,
    tokens.set_subtree,
    tokens.clear_subtree,
    tokens.child_of,
    tokens.stays,
    tokens.has_room,
    tokens.note_hit,
    tokens.add_work,
    tokens.walk,
    tokens.mark,
    tokens.completes,
    tokens.counted_cache,
    tokens.cache_of,
    tokens.walk_from_root,
    tokens.walk_behind,
    tokens.correct_names,
    tokens.fill_thread,
    tokens._same_stack,
    tokens._gather,
    tokens._enlist,
]


@dataclass(frozen=True, slots=True)
class Kernels:
    """The entries of `grammars.machine.walk`, with their arguments; `fill_rows` is there only when compiled."""

    fill: Callable[..., int]
    fill_below: Callable[..., None]
    inner: Callable[..., int]
    advance: Callable[..., int]
    forced: Callable[..., int]
    completes: Callable[..., bool]
    goes_on: Callable[..., bool]
    reached_over: Callable[..., int]
    fill_rows: Callable[..., None] | None
    is_compiled: bool


def plain_kernels() -> Kernels:
    """The functions as they are: slow, and the oracle of the compiled ones."""
    return Kernels(
        tokens.fill,
        tokens.fill_below,
        tokens.inner,
        tokens.advance,
        tokens.forced,
        tokens.completes,
        tokens.goes_on,
        tokens.reached_over,
        None,
        False,
    )


def compiled_kernels() -> Kernels:
    """The functions compiled for int32 tables; the first time ever takes some seconds, later processes read the cache.

    Falls back to `plain_kernels` where numba is not installed, and says so in the log.
    """
    try:
        from numba import types
        from numba.extending import register_jitable
    except ImportError:
        _LOG.warning("numba is not installed: grammars run in plain Python")
        return plain_kernels()
    for helper in (*HELPERS, tokens.fill):
        register_jitable(helper)
    from grammars.machine import batch_kernel

    ints, words = types.int32[::1], types.uint32[::1]
    threads, masks = types.int32[:, ::1], types.uint32[:, ::1]
    integer, longs_by_row = types.int64, types.int64[:, ::1]
    return Kernels(
        _compiled(tokens.fill, integer(ints, ints, masks, masks, threads, words, ints, words)),
        _compiled(tokens.fill_below, types.void(ints, ints, ints, threads, integer, words)),
        _compiled(tokens.inner, integer(ints, ints, ints, integer, integer, words, ints)),
        _compiled(tokens.advance, integer(ints, ints, threads, ints, integer, integer)),
        _compiled(tokens.forced, integer(ints, ints, threads, types.uint8[::1])),
        _compiled(tokens.completes, types.boolean(ints, ints, integer, integer, integer)),
        _compiled(tokens.goes_on, types.boolean(ints, ints, threads)),
        _compiled(tokens.reached_over, integer(ints, ints, ints, threads, types.uint8[::1], words, ints)),
        _compiled(
            batch_kernel.fill_rows,
            types.void(ints, masks, longs_by_row, types.int64[::1], threads, masks, ints, words, ints),
        ),
        True,
    )


def _compiled(function: Callable[..., Any], signature: Any) -> Callable[..., Any]:
    import numba

    options: dict[str, Any] = {"nogil": True, "boundscheck": False}
    compiler: Any = numba.njit
    try:
        cached: Callable[..., Any] = compiler([signature], cache=True, **options)(function)
        return cached
    except RuntimeError as error:
        if "locator" not in str(error):
            raise
        _LOG.warning("kernel %s is compiled at every start: %s", function.__name__, error)
        fresh: Callable[..., Any] = compiler([signature], **options)(function)
        return fresh
