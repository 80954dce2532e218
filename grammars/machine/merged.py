"""Many threads at once, as strongly ambiguous rules have them: whatever two of them have in common is done once.

Threads whose stacks are alike below go the same ways once they have returned there; followed one by one, their number
multiplies with every byte. Here equal stacks are one cell, and a state on a stack is visited once for a byte (Tomita
1985). For few threads `grammars.machine.fill` and `grammars.machine.reach` are quicker. The same rules as in
`grammars.machine.step`; `y` is the memory of a call, divided by the offsets below.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from grammars.machine.layout import (
    CONSUMED,
    COUNTED,
    EDGE_AT,
    EDGES,
    ELSE,
    EXPANDED,
    FINAL,
    FLAGS,
    FORK,
    FRAME_FLAGS,
    LEAST,
    MULTI,
    RESUME,
    ROW,
)
from grammars.machine.scratch import (
    CELLS,
    CELLS_USED,
    HITS_USED,
    LIST,
    MARKS,
    MAX_THREADS,
    MAX_TOKEN,
    MISSES_USED,
    OUT,
    OVERFLOW,
    STRICT,
)
from grammars.machine.step import apply, below, frame_of, lookup, miss
from grammars.machine.trie import BYTE_AT, DEPTH_AT, ENDS_AT, NODES, SKIP_AT
from grammars.machine.walk import begin_call, completes, has_room, note_hit, set_subtree, set_tokens, stays

__all__ = ["HELPERS", "advance_merged", "fill_merged", "new_memory"]

MOST = 32_768
"""Threads along one way down the trie; stacks and states seen."""
BUCKETS = 8_192
MOST_WORK = 4_000_000
"""States seen in one call, so that no mask takes much longer than some tenths of a second."""
NUM_KNOWN, NUM_SEEN, WORK_DONE = range(3)
"""How many stacks are known, how many states were seen for this byte, and how many in all."""
KNOWN_AT = 8
"""[cell, the one before in its bucket, bucket]."""
KNOWN_HEADS = KNOWN_AT + 3 * (MOST + 1)
SEEN_AT = KNOWN_HEADS + BUCKETS
"""[kind, state, register, cell, the one before in its bucket, bucket]; the kinds below."""
SEEN_HEADS = SEEN_AT + 6 * (MOST + 1)
THREADS = SEEN_HEADS + BUCKETS
"""[state, register, cell]."""
LEVELS = THREADS + 3 * (MOST + 1)
"""By depth in the trie: [first thread, thread behind the last, stacks known, cells used]."""
NAMED = LEVELS + 4 * (MAX_TOKEN + 2)
"""For every cell of one move, the one it is equal to."""
MEMORY_SIZE = NAMED + MAX_THREADS

VISITED, REACHED = 0, 1


def new_memory() -> npt.NDArray[np.int32]:
    """Memory for one call at a time."""
    return np.zeros(MEMORY_SIZE, np.int32)


def _start(h: Any, x: Any, y: Any, threads: Any) -> None:
    """Sets the memory up with threads, whose stacks are made known."""
    begin_call(x)
    y[NUM_KNOWN] = 0
    y[NUM_SEEN] = 0
    y[WORK_DONE] = 0
    for bucket in range(BUCKETS):
        y[KNOWN_HEADS + bucket] = 0
        y[SEEN_HEADS + bucket] = 0
    for index in range(len(threads)):
        for part in range(3):
            y[THREADS + 3 * index + part] = threads[index, part]
        cell = threads[index, 2]
        while cell != 0 and _find(h, x, y, frame_of(h, x, cell), below(h, x, cell)) == 0:
            _know(h, x, y, cell)
            cell = below(h, x, cell)
    y[LEVELS] = 0
    y[LEVELS + 1] = len(threads)
    y[LEVELS + 2] = y[NUM_KNOWN]
    y[LEVELS + 3] = 0


def _find(h: Any, x: Any, y: Any, frame: int, cell: int) -> int:
    """The known stack with that frame on top of another, 0 for none."""
    at = y[KNOWN_HEADS + ((int(frame) * 31 + int(cell) * 7) & (BUCKETS - 1))]
    while at != 0:
        known = y[KNOWN_AT + 3 * at]
        if frame_of(h, x, known) == frame and below(h, x, known) == cell:
            return known  # type: ignore[no-any-return]
        at = y[KNOWN_AT + 3 * at + 1]
    return 0


def _know(h: Any, x: Any, y: Any, cell: int) -> None:
    if y[NUM_KNOWN] >= MOST:
        x[OVERFLOW] = 1
        return
    y[NUM_KNOWN] += 1
    at = KNOWN_AT + 3 * y[NUM_KNOWN]
    bucket = (int(frame_of(h, x, cell)) * 31 + int(below(h, x, cell)) * 7) & (BUCKETS - 1)
    y[at] = cell
    y[at + 1] = y[KNOWN_HEADS + bucket]
    y[at + 2] = bucket
    y[KNOWN_HEADS + bucket] = y[NUM_KNOWN]


def _go_back(x: Any, y: Any, level: int) -> None:
    """Forgets the stacks made below a level. They go in the order opposite to that in which they came."""
    while y[NUM_KNOWN] > y[LEVELS + 4 * level + 2]:
        at = KNOWN_AT + 3 * y[NUM_KNOWN]
        y[KNOWN_HEADS + y[at + 2]] = y[at + 1]
        y[NUM_KNOWN] -= 1
    x[CELLS_USED] = y[LEVELS + 4 * level + 3]


def _see(x: Any, y: Any, kind: int, s: int, n: int, cell: int) -> bool:
    """Notes a state on a stack; whether it is new."""
    bucket = (int(s) * 31 + int(n) * 17 + int(cell) * 7 + kind) & (BUCKETS - 1)
    at = y[SEEN_HEADS + bucket]
    while at != 0:
        seen = SEEN_AT + 6 * at
        if y[seen] == kind and y[seen + 1] == s and y[seen + 2] == n and y[seen + 3] == cell:
            return False
        at = y[seen + 4]
    if y[NUM_SEEN] >= MOST:
        x[OVERFLOW] = 1
        return False
    y[NUM_SEEN] += 1
    seen = SEEN_AT + 6 * y[NUM_SEEN]
    y[seen] = kind
    y[seen + 1] = s
    y[seen + 2] = n
    y[seen + 3] = cell
    y[seen + 4] = y[SEEN_HEADS + bucket]
    y[seen + 5] = bucket
    y[SEEN_HEADS + bucket] = y[NUM_SEEN]
    return True


def _forget_seen(x: Any, y: Any) -> None:
    y[WORK_DONE] += y[NUM_SEEN]
    if y[WORK_DONE] > MOST_WORK:
        x[OVERFLOW] = 1
    for at in range(1, y[NUM_SEEN] + 1):
        y[SEEN_HEADS + y[SEEN_AT + 6 * at + 5]] = 0
    y[NUM_SEEN] = 0


def _make(h: Any, x: Any, y: Any, end: int, move: int, s: int, n: int, cell: int) -> int:
    """Makes one move, and adds the threads it leads to that are new behind `end`; the new end."""
    used = x[CELLS_USED]
    count = apply(h, x, 0, move, s, n, cell)
    kept = used
    for made in range(used + 1, x[CELLS_USED] + 1):
        if made - used > MAX_THREADS:
            x[OVERFLOW] = 1
            return end
        frame = x[CELLS + 2 * made]
        under = x[CELLS + 2 * made + 1]
        if -under > used:
            under = y[NAMED - under - used - 1]
        known = _find(h, x, y, frame, under)
        if known == 0:
            kept += 1
            known = -kept
            x[CELLS + 2 * kept] = frame
            x[CELLS + 2 * kept + 1] = under
            _know(h, x, y, known)
        y[NAMED + made - used - 1] = known
    x[CELLS_USED] = kept
    for index in range(count):
        at = OUT + 3 * index
        stack = x[at + 2]
        if -stack > used:
            stack = y[NAMED - stack - used - 1]
        if not _see(x, y, REACHED, x[at], x[at + 1], stack):
            continue
        if end >= MOST:
            x[OVERFLOW] = 1
            return end
        y[THREADS + 3 * end] = x[at]
        y[THREADS + 3 * end + 1] = x[at + 1]
        y[THREADS + 3 * end + 2] = stack
        end += 1
    return end


def _visit_all(h: Any, x: Any, y: Any, begin: int, end: int) -> None:
    """Notes the states of threads, which their bytes are then read from."""
    for index in range(begin, end):
        at = THREADS + 3 * index
        _see(x, y, VISITED, y[at], y[at + 1], y[at + 2])


def _returned(h: Any, x: Any, y: Any, s: int, n: int, cell: int) -> None:
    """Notes the state behind the end of a lexeme or rule, if it may end."""
    flags = h[s + FLAGS]
    if flags & FINAL and not (flags & COUNTED and n < h[s + LEAST]):
        frame = frame_of(h, x, cell)
        rest = below(h, x, cell) if h[frame + FRAME_FLAGS] & CONSUMED else cell
        _see(x, y, VISITED, h[frame + RESUME], 0, rest)


def _read(h: Any, x: Any, y: Any, begin: int, end: int, byte: int) -> int:
    """Reads one byte with the threads begin .. end - 1. Those after it come behind; the end of them is returned."""
    after = end
    _visit_all(h, x, y, begin, end)
    at = 0
    while at < y[NUM_SEEN]:
        at += 1
        seen = SEEN_AT + 6 * at
        if y[seen] != VISITED:
            continue
        s, n, cell = y[seen + 1], y[seen + 2], y[seen + 3]
        if not h[s + FLAGS] & EXPANDED:
            miss(x, s, -1)
            continue
        move = lookup(h, s, byte)
        if move == 0 or h[s + FLAGS] & FORK:
            _returned(h, x, y, s, n, cell)
        if move == 0:
            continue
        if move & 7 == MULTI:
            for index in range(h[move >> 3]):
                after = _make(h, x, y, after, h[(move >> 3) + 1 + index], s, n, cell)
        else:
            after = _make(h, x, y, after, move, s, n, cell)
    _forget_seen(x, y)
    return after


def _mark_all(h: Any, x: Any, y: Any, end: int) -> None:
    """Marks the bytes that some of the first threads may be able to read."""
    for byte in range(256):
        x[MARKS + byte] = 0
    _visit_all(h, x, y, 0, end)
    at = 0
    while at < y[NUM_SEEN]:
        at += 1
        seen = SEEN_AT + 6 * at
        asked = y[seen + 1]
        if not h[asked + FLAGS] & EXPANDED:
            miss(x, asked, -1)
            continue
        _returned(h, x, y, asked, y[seen + 2], y[seen + 3])
        while asked != 0:
            pairs = h[asked + EDGE_AT]
            for index in range(h[asked + EDGES]):
                x[MARKS + h[pairs + 2 * index]] = 1
            if h[asked + ROW] != 0:
                for byte in range(256):
                    if h[h[asked + ROW] + byte] != 0:
                        x[MARKS + byte] = 1
            asked = h[asked + ELSE]
    _forget_seen(x, y)


def _takes_all(h: Any, v: Any, y: Any, begin: int, end: int, node: int) -> bool:
    """Whether some thread reads whatever comes from a trie node on downwards."""
    for index in range(begin, end):
        s = y[THREADS + 3 * index]
        n = y[THREADS + 3 * index + 1]
        if h[s + ROW] != 0 and stays(h, v, s, node) and (not h[s + FLAGS] & COUNTED or has_room(h, v, s, n, node)):
            return True
    return False


def fill_merged(h: Any, v: Any, x: Any, y: Any, threads: Any, row: Any) -> int:
    """Overwrites `row` with the tokens that any of the threads can read, as `grammars.machine.fill.fill` does."""
    _start(h, x, y, threads)
    row[:] = 0
    _mark_all(h, x, y, len(threads))
    skip_at = v[SKIP_AT]
    i = 1
    while i < v[NODES] and x[OVERFLOW] == 0:
        depth = v[v[DEPTH_AT] + i]
        byte = v[v[BYTE_AT] + i]
        level = LEVELS + 4 * (depth - 1)
        begin, end = y[level], y[level + 1]
        if depth == 1 and x[MARKS + byte] == 0:
            i = v[skip_at + i]
            continue
        if _takes_all(h, v, y, begin, end, i):
            set_subtree(v, row, i)
            i = v[skip_at + i]
            continue
        _go_back(x, y, depth - 1)
        after = _read(h, x, y, begin, end, byte)
        note_hit(x, i)
        if after == end:
            i = v[skip_at + i]
            continue
        set_tokens(v, row, i)
        y[level + 4] = end
        y[level + 5] = after
        y[level + 6] = y[NUM_KNOWN]
        y[level + 7] = x[CELLS_USED]
        i += 1
    ends = False
    for index in range(len(threads)):
        ends = ends or completes(h, x, threads[index, 0], threads[index, 1], threads[index, 2])
    if ends:
        for index in range(v[ENDS_AT] + 1, v[ENDS_AT] + 1 + v[v[ENDS_AT]]):
            row[v[index] >> 5] |= 1 << (v[index] & 31)
    return x[MISSES_USED] + x[HITS_USED] + x[OVERFLOW]  # type: ignore[no-any-return]


def advance_merged(h: Any, x: Any, y: Any, threads: Any, text: Any, begin: int, end: int) -> int:
    """Reads text[begin:end], as `grammars.machine.reach.advance` does."""
    _start(h, x, y, threads)
    x[STRICT] = 1
    count = len(threads)
    for position in range(begin, end):
        after = _read(h, x, y, 0, count, text[position])
        for index in range(3 * (after - count)):
            y[THREADS + index] = y[THREADS + 3 * count + index]
        count = after - count
    if count > MAX_THREADS:
        x[OVERFLOW] = 1
        return 0
    for index in range(3 * count):
        x[LIST + index] = y[THREADS + index]
    return count


HELPERS = (
    _find, _know, _start, _go_back, _see, _forget_seen, _make, _visit_all, _returned, _read, _mark_all, _takes_all,
)  # fmt: skip
