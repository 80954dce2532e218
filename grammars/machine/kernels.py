"""The machine's functions, compiled by numba where it is installed and plain Python where it is not."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from grammars.machine import fill, inner, merged, reach, text_trie, walk
from grammars.machine import step as one_byte
from grammars.machine.first_compilation import announced

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
    walk.begin_call,
    walk.set_tokens,
    walk.set_subtree,
    walk.clear_subtree,
    walk.child_of,
    walk.stays,
    walk.has_room,
    inner.note_children,
    walk.note_hit,
    walk.add_work,
    walk.walk,
    walk.mark,
    walk.completes,
    fill.counted_cache,
    fill.cache_of,
    fill.walk_from_root,
    fill.walk_behind,
    fill.correct_names,
    fill.fill_thread,
    text_trie.set_children,
    text_trie.close_spent,
    text_trie.set_moves,
    reach._same_stack,
    reach._gather,
    reach._enlist,
    reach.is_any_set,
    *merged.HELPERS,
]


@dataclass(frozen=True, slots=True)
class Kernels:
    """The entries of the machine, with their arguments; `fill_rows` is there only when compiled."""

    fill: Callable[..., int]
    fill_below: Callable[..., None]
    fill_merged: Callable[..., int]
    inner: Callable[..., int]
    advance: Callable[..., int]
    advance_merged: Callable[..., int]
    forced: Callable[..., int]
    completes: Callable[..., bool]
    goes_on: Callable[..., bool]
    reached_over: Callable[..., int]
    count_states: Callable[..., int]
    lay_texts: Callable[..., bool]
    fill_rows: Callable[..., None] | None
    is_compiled: bool


def plain_kernels() -> Kernels:
    """The functions as they are: slow, and the oracle of the compiled ones."""
    return Kernels(
        fill.fill,
        fill.fill_below,
        merged.fill_merged,
        inner.inner,
        reach.advance,
        merged.advance_merged,
        reach.forced,
        walk.completes,
        reach.goes_on,
        reach.reached_over,
        text_trie.count_states,
        text_trie.lay_texts,
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
    register: Any = register_jitable
    for helper in (*HELPERS, fill.fill):
        register(helper)
    from grammars.machine import batch_kernel

    ints, words = types.int32[::1], types.uint32[::1]
    threads, masks = types.int32[:, ::1], types.uint32[:, ::1]
    integer, longs_by_row = types.int64, types.int64[:, ::1]
    return Kernels(
        _compiled(fill.fill, integer(ints, ints, masks, masks, threads, words, ints, words)),
        _compiled(fill.fill_below, types.void(ints, ints, ints, threads, integer, words)),
        _compiled(merged.fill_merged, integer(ints, ints, ints, ints, threads, words)),
        _compiled(inner.inner, integer(ints, ints, ints, integer, integer, words, ints)),
        _compiled(reach.advance, integer(ints, ints, threads, ints, integer, integer)),
        _compiled(merged.advance_merged, integer(ints, ints, ints, threads, ints, integer, integer)),
        _compiled(reach.forced, integer(ints, ints, threads, types.uint8[::1])),
        _compiled(walk.completes, types.boolean(ints, ints, integer, integer, integer)),
        _compiled(reach.goes_on, types.boolean(ints, ints, threads)),
        _compiled(reach.reached_over, integer(ints, ints, ints, threads, types.uint8[::1], words, ints)),
        _compiled(text_trie.count_states, integer(types.uint8[::1], ints)),
        _compiled(
            text_trie.lay_texts,
            types.boolean(ints, ints, integer, integer, types.uint8[::1], ints, integer, types.boolean, integer),
        ),
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
        with announced():
            cached: Callable[..., Any] = compiler([signature], cache=True, **options)(function)
        return cached
    except RuntimeError as error:
        if "locator" not in str(error):
            raise
        _LOG.warning("kernel %s is compiled at every start: %s", function.__name__, error)
        fresh: Callable[..., Any] = compiler([signature], **options)(function)
        return fresh
