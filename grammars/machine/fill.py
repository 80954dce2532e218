"""Masks of threads: from what is kept about lexemes, and by walking where the stack decides.

The same rules as in `grammars.machine.step`: compiled by numba, or run as plain Python. `h` is the heap, `v` the
vocabulary's trie (`grammars.machine.trie`), `x` scratch memory, `row` a mask of uint32 words.
"""

from __future__ import annotations

from typing import Any

from grammars.machine.layout import (
    CACHE,
    COUNTED,
    EDGE_AT,
    EDGES,
    ELSE,
    EXPANDED,
    FLAGS,
    GOTO,
    LEAST,
    LEXEME,
    MOST,
    ROW,
)
from grammars.machine.reach import _enlist
from grammars.machine.scratch import (
    HIT,
    HITS_USED,
    LIST,
    MARKS,
    MAX_THREADS,
    MAX_WORK,
    MISSES_USED,
    NEXT,
    OUT,
    OVERFLOW,
)
from grammars.machine.step import apply, miss, step
from grammars.machine.trie import CHILDREN, ENDS_AT
from grammars.machine.walk import (
    add_work,
    begin_call,
    child_of,
    clear_subtree,
    completes,
    mark,
    note_hit,
    set_tokens,
    walk,
)

__all__ = [
    "cache_of",
    "correct_names",
    "counted_cache",
    "fill",
    "fill_below",
    "fill_thread",
    "walk_behind",
    "walk_from_root",
]


def counted_cache(h: Any, s: int, n: int) -> int:
    """Which of a counted state's caches serves after `n` characters."""
    most = h[h[s + CACHE]]
    room = most
    if h[s + MOST] >= 0 and h[s + MOST] - n < most:
        room = h[s + MOST] - n
    need = min(max(h[s + LEAST] - n, 0), most)
    return need * (most + 1) + room  # type: ignore[no-any-return]


def cache_of(h: Any, x: Any, s: int, n: int) -> int:
    """The cache of a lexeme's state, 0 for none; -1, and a miss, for one that should be there and is not."""
    flags = h[s + FLAGS]
    if flags & (LEXEME | EXPANDED) != LEXEME | EXPANDED or h[s + ROW] == 0:
        return 0
    if not flags & COUNTED:
        if h[s + CACHE] == 0:
            miss(x, s, -2)
            return -1
        return h[s + CACHE]  # type: ignore[no-any-return]
    if h[s + CACHE] == 0:
        return 0
    index = counted_cache(h, s, n)
    found = h[h[s + CACHE] + 1 + index]
    if found == 0:
        miss(x, s, -2 - index)
        return -1
    return found  # type: ignore[no-any-return]


def walk_from_root(h: Any, v: Any, x: Any, row: Any, s: int, n: int, cell: int) -> None:
    """Allows every token one thread can read."""
    for byte in range(256):
        x[MARKS + byte] = 0
    mark(h, x, s, n, cell)
    pending = 0
    for byte in range(256):
        node = v[CHILDREN + byte]
        if x[MARKS + byte] == 0 or node == 0:
            continue
        count = step(h, x, s, n, cell, byte)
        note_hit(x, node)
        if count > 0:
            set_tokens(v, row, node)
            pending = add_work(v, x, 0, node, OUT, count)
            walk(h, v, x, row, pending)


def walk_behind(h: Any, v: Any, x: Any, row: Any, cache: int, cell: int) -> None:
    """Allows the tokens that end a cached lexeme and go on behind it."""
    resumed = 0
    move = 0
    for group in range(h[cache + 1]):
        at = cache + 2 + 4 * group
        if h[at] != move:
            move = h[at]
            resumed = apply(h, x, 0, move, 0, 0, cell)
            for index in range(3 * resumed):
                x[LIST + index] = x[OUT + index]
        for thread in range(resumed):
            begin = LIST + 3 * thread
            count = step(h, x, x[begin], x[begin + 1], x[begin + 2], h[at + 1])
            if x[HIT] != 0:
                for index in range(h[at + 2], h[at + 2] + h[at + 3]):
                    x[HIT] = 1
                    note_hit(x, h[index])
            if count == 0:
                continue
            for index in range(3 * count):
                x[NEXT + index] = x[OUT + index]
            pending = 0
            for index in range(h[at + 2], h[at + 2] + h[at + 3]):
                set_tokens(v, row, h[index])
                pending = add_work(v, x, pending, h[index], NEXT, count)
                if pending > MAX_WORK - MAX_THREADS:
                    walk(h, v, x, row, pending)
                    pending = 0
            walk(h, v, x, row, pending)


def correct_names(h: Any, v: Any, x: Any, row: Any, s: int, cell: int) -> None:
    """Puts right what a state's own edges say otherwise than the state that answers for the other bytes.

    `row` holds the tokens of the latter. Own edges lead to states of the same kind, or end the lexeme by a label.
    """
    x[LIST] = 0
    x[LIST + 1] = s
    top = 1
    while top > 0:
        top -= 1
        node = x[LIST + 2 * top]
        s = x[LIST + 2 * top + 1]
        pairs = h[s + EDGE_AT]
        for index in range(h[s + EDGES]):
            byte = h[pairs + 2 * index]
            move = h[pairs + 2 * index + 1]
            child = child_of(v, node, byte)
            if child == 0:
                continue
            if move & 7 == GOTO:
                if h[(move >> 3) + ELSE] == 0:
                    clear_subtree(v, row, child)
                if apply(h, x, 0, move, 0, 0, cell) == 0:
                    continue
                set_tokens(v, row, child)
                if top < MAX_THREADS:
                    x[LIST + 2 * top] = child
                    x[LIST + 2 * top + 1] = move >> 3
                    top += 1
                else:
                    x[OVERFLOW] = 1
                continue
            clear_subtree(v, row, child)
            count = apply(h, x, 0, move, 0, 0, cell)
            if count > 0:
                set_tokens(v, row, child)
                walk(h, v, x, row, add_work(v, x, 0, child, OUT, count))


def fill_thread(h: Any, v: Any, masks: Any, shared: Any, x: Any, row: Any, thread: Any) -> None:
    """Overwrites `row` with the tokens one thread can read."""
    s = thread[0]
    n = thread[1]
    cell = thread[2]
    other = h[s + ELSE]
    has_names = other != 0 and h[other + FLAGS] & LEXEME and h[other + ROW] != 0
    cache = cache_of(h, x, other if has_names else s, n)
    if cache == 0:
        row[:] = 0
        walk_from_root(h, v, x, row, s, n, cell)
        return
    if cache < 0:
        return
    slot = h[cache]
    if slot >= len(masks) or -1 - slot >= len(shared):
        miss(x, s, -1)  # it came into tables that have been replaced by larger ones since the call began
        return
    row[:] = masks[slot] if slot >= 0 else shared[-1 - slot]
    walk_behind(h, v, x, row, cache, cell)
    if has_names:
        correct_names(h, v, x, row, s, cell)


def fill(h: Any, v: Any, masks: Any, shared: Any, threads: Any, row: Any, x: Any, spare: Any) -> int:
    """Overwrites `row` with the tokens that any of the threads can read, end tokens included.

    Args:
        h: int32 heap.
        v: int32 trie.
        masks, shared: uint32 [.., W]: the slots of caches; slot -1 - i is the shared one's i.
        threads: int32 [T, 3].
        row: uint32 [W].
        x: int32 scratch memory.
        spare: uint32 [W], scratch memory.

    Returns:
        0 where the row is whole; otherwise the sum of the misses, hits and overflows that `x` has more about.
    """
    begin_call(x)
    ends = False
    if len(threads) == 0:
        row[:] = 0
    for index in range(len(threads)):
        if index == 0:
            fill_thread(h, v, masks, shared, x, row, threads[index])
        else:
            fill_thread(h, v, masks, shared, x, spare, threads[index])
            for word in range(len(row)):
                row[word] |= spare[word]
        ends = ends or completes(h, x, threads[index, 0], threads[index, 1], threads[index, 2])
    if ends:
        for index in range(v[ENDS_AT] + 1, v[ENDS_AT] + 1 + v[v[ENDS_AT]]):
            row[v[index] >> 5] |= 1 << (v[index] & 31)
    return x[MISSES_USED] + x[HITS_USED] + x[OVERFLOW]  # type: ignore[no-any-return]


def fill_below(h: Any, v: Any, x: Any, threads: Any, node: int, row: Any) -> None:
    """Adds to `row` the tokens that end at a node or below it and that threads behind its byte can read."""
    count = _enlist(x, threads)
    set_tokens(v, row, node)
    walk(h, v, x, row, add_work(v, x, 0, node, LIST, count))
