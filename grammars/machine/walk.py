"""Walking the trie: the tokens below its nodes that threads can read.

The same rules as in `grammars.machine.step`: compiled by numba, or run as plain Python. `h` is the heap, `v` the
vocabulary's trie (`grammars.machine.trie`), `x` scratch memory, `row` a mask of uint32 words.
"""

from __future__ import annotations

from typing import Any

from grammars.machine.layout import (
    CONSUMED,
    COUNTED,
    EDGE_AT,
    EDGES,
    ELSE,
    END,
    EXPANDED,
    FINAL,
    FLAGS,
    FRAME_FLAGS,
    GOTO,
    KEY,
    LEAST,
    LEAST_LEFT,
    LOOPS,
    MOST,
    MOST_LEFT,
    RESUME,
    ROW,
)
from grammars.machine.scratch import (
    CELLS_USED,
    HIT,
    HITS,
    HITS_USED,
    MARKS,
    MAX_HITS,
    MAX_WORK,
    MISSES_USED,
    OUT,
    OVERFLOW,
    PATH,
    STRICT,
    WORK,
)
from grammars.machine.step import below, frame_of, miss, step
from grammars.machine.trie import BYTE_AT, CHILDREN, DEEPEST_AT, DEPTH_AT, FIRST_AT, SKIP_AT, TOKEN_AT, WITHIN_AT

__all__ = [
    "add_work",
    "begin_call",
    "child_of",
    "clear_subtree",
    "completes",
    "mark",
    "note_hit",
    "set_subtree",
    "set_tokens",
    "stays",
    "walk",
]


def begin_call(x: Any) -> None:
    """Sets the counters of the scratch memory back."""
    x[CELLS_USED] = 0
    x[MISSES_USED] = 0
    x[OVERFLOW] = 0
    x[HIT] = 0
    x[HITS_USED] = 0
    x[STRICT] = 0


def set_tokens(v: Any, row: Any, node: int) -> None:
    """Allows the tokens that end at a node."""
    first = v[FIRST_AT] + node
    for index in range(v[TOKEN_AT] + v[first], v[TOKEN_AT] + v[first + 1]):
        token = v[index]
        row[token >> 5] |= 1 << (token & 31)


def set_subtree(v: Any, row: Any, node: int) -> None:
    """Allows all tokens that end at a node or below it."""
    first = v[FIRST_AT]
    for index in range(v[TOKEN_AT] + v[first + node], v[TOKEN_AT] + v[first + v[v[SKIP_AT] + node]]):
        token = v[index]
        row[token >> 5] |= 1 << (token & 31)


def clear_subtree(v: Any, row: Any, node: int) -> None:
    """Forbids all tokens that end at a node or below it."""
    first = v[FIRST_AT]
    for index in range(v[TOKEN_AT] + v[first + node], v[TOKEN_AT] + v[first + v[v[SKIP_AT] + node]]):
        token = int(v[index])  # numpy's own integers are too narrow for what is to be kept of a word
        row[token >> 5] &= ~(1 << (token & 31)) & 0xFFFFFFFF


def child_of(v: Any, node: int, byte: int) -> int:
    """The child of a trie node by its byte, 0 for none."""
    if node == 0:
        return v[CHILDREN + byte]  # type: ignore[no-any-return]
    child = node + 1
    after = v[v[SKIP_AT] + node]
    while child < after:
        if v[v[BYTE_AT] + child] == byte:
            return child
        child = v[v[SKIP_AT] + child]
    return 0


def stays(h: Any, v: Any, s: int, node: int) -> bool:
    """Whether a state stays itself whatever is read from a node on downwards."""
    within = v[WITHIN_AT] + 2 * node
    return v[within] & ~h[s + LOOPS] == 0 and v[within + 1] & ~h[s + LOOPS + 1] == 0  # type: ignore[no-any-return]


def note_hit(x: Any, node: int) -> None:
    """Notes down the node at whose byte a capturing frame was met, if one was."""
    if x[HIT] != 0:
        x[HIT] = 0
        used = x[HITS_USED]
        if used < MAX_HITS:
            x[HITS + used] = node
            x[HITS_USED] = used + 1
        else:
            x[OVERFLOW] = 1


def has_room(h: Any, v: Any, s: int, n: int, node: int) -> bool:
    """Whether a counted state has room for all that can be read from a node on downwards."""
    longest = v[v[DEEPEST_AT] + node] - v[v[DEPTH_AT] + node] + 1
    if h[s + MOST_LEFT] >= 0:
        return False
    return h[s + MOST] < 0 or n + longest + h[s + LEAST_LEFT] <= h[s + MOST]  # type: ignore[no-any-return]


def add_work(v: Any, x: Any, pending: int, node: int, threads: int, count: int) -> int:
    """Notes that the subtree of a node is to be walked by `count` threads lying in `x` from `threads` on."""
    if v[v[SKIP_AT] + node] == node + 1:
        return pending
    for index in range(count):
        if pending >= MAX_WORK:
            x[OVERFLOW] = 1
            return pending
        at = WORK + 4 * pending
        x[at] = node
        x[at + 1] = x[threads + 3 * index]
        x[at + 2] = x[threads + 3 * index + 1]
        x[at + 3] = x[threads + 3 * index + 2]
        pending += 1
    return pending


def walk(h: Any, v: Any, x: Any, row: Any, pending: int) -> None:
    """Allows every token below the noted nodes whose bytes their threads can read."""
    byte_at = v[BYTE_AT]
    depth_at = v[DEPTH_AT]
    skip_at = v[SKIP_AT]
    while pending > 0 and x[OVERFLOW] == 0:
        pending -= 1
        at = WORK + 4 * pending
        i = x[at] + 1
        end = v[skip_at + x[at]]
        path = PATH + 3 * v[depth_at + x[at]]
        x[path] = x[at + 1]
        x[path + 1] = x[at + 2]
        x[path + 2] = x[at + 3]
        while i < end:
            path = PATH + 3 * (v[depth_at + i] - 1)
            s = x[path]
            table = h[s + ROW]
            if table != 0 and stays(h, v, s, i) and (not h[s + FLAGS] & COUNTED or has_room(h, v, s, x[path + 1], i)):
                set_subtree(v, row, i)
                i = v[skip_at + i]
                continue
            if table != 0 and h[s + FLAGS] & (EXPANDED | FINAL) == EXPANDED and h[s + EDGES] == 0:
                move = h[table + v[byte_at + i]]
                if move == 0:
                    i = v[skip_at + i]
                    continue
                if move & 7 == GOTO and h[(move >> 3) + FLAGS] & (KEY | COUNTED) == 0:
                    set_tokens(v, row, i)
                    x[path + 3] = move >> 3
                    x[path + 4] = 0
                    x[path + 5] = x[path + 2]
                    i += 1
                    continue
            count = step(h, x, s, x[path + 1], x[path + 2], v[byte_at + i])
            note_hit(x, i)
            if count == 0:
                i = v[skip_at + i]
                continue
            set_tokens(v, row, i)
            x[path + 3] = x[OUT]
            x[path + 4] = x[OUT + 1]
            x[path + 5] = x[OUT + 2]
            pending = add_work(v, x, pending, i, OUT + 3, count - 1)
            i += 1


def mark(h: Any, x: Any, s: int, n: int, cell: int) -> None:
    """Marks the bytes a thread may be able to read."""
    while True:
        if not h[s + FLAGS] & EXPANDED:
            miss(x, s, -1)
            return
        asked = s
        while asked != 0:
            pairs = h[asked + EDGE_AT]
            for index in range(h[asked + EDGES]):
                x[MARKS + h[pairs + 2 * index]] = 1
            table = h[asked + ROW]
            if table != 0:
                for byte in range(256):
                    if h[table + byte] != 0:
                        x[MARKS + byte] = 1
            asked = h[asked + ELSE]
        if not h[s + FLAGS] & FINAL or (h[s + FLAGS] & COUNTED and n < h[s + LEAST]):
            return
        frame = frame_of(h, x, cell)
        if h[frame + FRAME_FLAGS] & CONSUMED:
            cell = below(h, x, cell)
        s = h[frame + RESUME]
        n = 0


def completes(h: Any, x: Any, s: int, n: int, cell: int) -> bool:
    """Whether the text may end in this thread."""
    while True:
        flags = h[s + FLAGS]
        if flags & END:
            return True
        if not flags & EXPANDED:
            miss(x, s, -1)
            return False
        if not flags & FINAL or (flags & COUNTED and n < h[s + LEAST]):
            return False
        frame = frame_of(h, x, cell)
        if h[frame + FRAME_FLAGS] & CONSUMED:
            cell = below(h, x, cell)
        s = h[frame + RESUME]
        n = 0
