"""What the state of a lexeme allows by itself, whatever the stack: found out once, then kept.

The same rules as in `grammars.machine.step`: compiled by numba, or run as plain Python. `h` is the heap, `v` the
vocabulary's trie (`grammars.machine.trie`), `x` scratch memory, `row` a mask of uint32 words.
"""

from __future__ import annotations

from typing import Any

from grammars.machine.layout import (
    BOUNDARY,
    COUNTED,
    EXPANDED,
    FINAL,
    FLAGS,
    FORK,
    GOTO,
    LEAST,
    RETURN,
    ROW,
)
from grammars.machine.scratch import DEEPEST, MISSES_USED, PATH
from grammars.machine.step import is_counted_out, lookup, miss
from grammars.machine.trie import BYTE_AT, DEEPEST_AT, DEPTH_AT, NODES, SKIP_AT
from grammars.machine.walk import has_room, set_subtree, set_tokens, stays

__all__ = ["inner"]


def note_children(v: Any, behind: Any, count: int, move: int, node: int) -> int:
    """Notes the nodes right behind a node that ends the lexeme; the new number of pairs."""
    child = node + 1
    while child < v[v[SKIP_AT] + node]:
        behind[2 * count] = move
        behind[2 * count + 1] = child
        count += 1
        child = v[v[SKIP_AT] + child]
    return count


def inner(h: Any, v: Any, x: Any, s: int, n: int, row: Any, behind: Any) -> int:
    """What a lexeme's state allows by itself, whatever the stack.

    Args:
        s, n: the state and its register.
        row: uint32 [W], zeros; gets the tokens that stay inside the lexeme or end it.
        behind: int32 [2 * nodes]; gets the moves that end the lexeme, each with a trie node whose byte is the first
            behind it.

    Returns:
        Number of pairs in `behind`.
    """
    x[MISSES_USED], x[DEEPEST] = 0, 0
    depth_at, skip_at = v[DEPTH_AT], v[SKIP_AT]
    count = 0
    x[PATH], x[PATH + 1] = s, n
    i = 1
    while i < v[NODES]:
        path = PATH + 3 * (v[depth_at + i] - 1)
        s, n = x[path], x[path + 1]
        flags = h[s + FLAGS]
        if not flags & EXPANDED:
            miss(x, s, -1)
            i = v[skip_at + i]
            continue
        table = h[s + ROW]
        if table != 0 and stays(h, v, s, i) and (not flags & COUNTED or has_room(h, v, s, n, i)):
            set_subtree(v, row, i)
            x[DEEPEST] = max(x[DEEPEST], v[v[DEEPEST_AT] + i])
            i = v[skip_at + i]
            continue
        move = h[table + v[v[BYTE_AT] + i]] if table != 0 else lookup(h, s, v[v[BYTE_AT] + i])
        if move != 0:
            x[DEEPEST] = max(x[DEEPEST], v[depth_at + i])
        enough = not flags & COUNTED or n >= h[s + LEAST]
        if flags & FINAL and enough and (move == 0 or flags & FORK):
            behind[2 * count] = RETURN
            behind[2 * count + 1] = i
            count += 1
        if move & 7 == GOTO:
            s = move >> 3
            if h[s + FLAGS] & COUNTED:
                if h[s + FLAGS] & BOUNDARY:
                    n += 1
                if is_counted_out(h, s, n):
                    i = v[skip_at + i]
                    continue
            set_tokens(v, row, i)
            x[path + 3], x[path + 4] = s, n
            i += 1
            continue
        after = v[skip_at + i]
        if move != 0 and enough:
            set_tokens(v, row, i)
            count = note_children(v, behind, count, move, i)
        i = after
    return count
