"""Texts as a trie of states, laid out in one call.

The same rules as in `grammars.machine.step`: compiled by numba, or run as plain Python. `h` is the heap, `x` scratch
memory.
"""

from __future__ import annotations

from typing import Any

from grammars.machine.layout import (
    CACHE,
    EDGE_AT,
    EDGES,
    ELSE,
    EXPANDED,
    FLAGS,
    GOTO,
    HIGH,
    KEY,
    LABEL,
    LOW,
    RETURN,
    STATE_SIZE,
)
from grammars.machine.scratch import MARKS, MISSES_USED
from grammars.machine.step import lookup, miss

__all__ = ["close_spent", "count_states", "lay_texts", "set_children", "set_moves"]


def count_states(texts: Any, starts: Any) -> int:
    """Number of states that `lay_texts` makes: one for each beginning of a text."""
    count = 1
    for text in range(len(starts) - 1):
        begin = starts[text]
        end = starts[text + 1]
        depth = 0
        if text > 0:
            before = starts[text - 1]
            while before + depth < begin and texts[before + depth] == texts[begin + depth]:
                depth += 1
        count += end - begin - 1 - depth
    return count


def set_children(h: Any, x: Any, base: int, count: int, node: int, pairs: int, texts: Any, starts: Any) -> int:
    """Writes the edges of a state, and what its children begin with; the new number of states.

    Until all are laid out, LOW and HIGH say which texts come through a state, CACHE how much of them is read there, and
    the edges lead to a state's address or, where a text ends, to -1 - its number.
    """
    low = h[node + LOW]
    depth = h[node + CACHE]
    other = h[node + ELSE]
    if other != 0 and not h[other + FLAGS] & EXPANDED:
        miss(x, other, -1)
    h[node + EDGE_AT] = pairs
    h[node + EDGES] = 0
    while low < h[node + HIGH]:
        byte = texts[starts[low] + depth]
        end = low + 1
        while end < h[node + HIGH] and texts[starts[end] + depth] == byte:
            end += 1
        to = -1 - low
        if starts[low + 1] - starts[low] > depth + 1:
            to = base + STATE_SIZE * count
            h[to + LOW] = low
            h[to + HIGH] = end
            h[to + CACHE] = depth + 1
            h[to + ELSE] = lookup(h, other, byte) >> 3
            count += 1
        h[pairs + 2 * h[node + EDGES]] = byte
        h[pairs + 2 * h[node + EDGES] + 1] = to
        h[node + EDGES] += 1
        low = end
    return count


def close_spent(h: Any, x: Any, node: int) -> None:
    """Takes away the state that answers for other bytes where what it allows leads on to nothing but the texts."""
    other = h[node + ELSE]
    if other == 0:
        return
    for byte in range(256):
        x[MARKS + byte] = 0
    pairs = h[node + EDGE_AT]
    for index in range(h[node + EDGES]):
        to = h[pairs + 2 * index + 1]
        if to < 0 or h[to + ELSE] == 0:
            x[MARKS + h[pairs + 2 * index]] = 1
    for byte in range(256):
        if x[MARKS + byte] == 0 and lookup(h, other, byte) != 0:
            return
    h[node + ELSE] = 0


def set_moves(h: Any, node: int, label: int) -> None:
    """Makes a state laid out one like others."""
    h[node + FLAGS] = EXPANDED | KEY if label >= 0 and h[node + ELSE] == 0 else EXPANDED
    h[node + CACHE] = 0
    h[node + LOW] += max(label, 0)
    h[node + HIGH] += max(label, 0)
    pairs = h[node + EDGE_AT]
    for index in range(h[node + EDGES]):
        to = h[pairs + 2 * index + 1]
        move = to << 3 | GOTO
        if to < 0:
            move = (label - 1 - to) << 3 | LABEL if label >= 0 else RETURN
        h[pairs + 2 * index + 1] = move


def lay_texts(
    h: Any, x: Any, base: int, count: int, texts: Any, starts: Any, other: int, is_open: bool, label: int
) -> bool:
    """Writes the states that read texts, the root first.

    Args:
        base: address of room for `count` states and an edge into each of them and out of each text.
        count: what `count_states` says.
        texts: uint8, the texts in the order of their bytes; none begins another.
        starts: int32, where each begins, and where the last one ends.
        other: the state that answers for bytes that no text has, 0 for none.
        is_open: whether that state allows more than the texts whatever was read.
        label: that of the first text, each of the others having the next one; -1: the texts end in a return.

    Returns:
        Whether all are there; where not, `x` says which states have to be made before.
    """
    x[MISSES_USED] = 0
    pairs = base + STATE_SIZE * count
    h[base + LOW] = 0
    h[base + HIGH] = len(starts) - 1
    h[base + CACHE] = 0
    h[base + ELSE] = other
    made = 1
    for index in range(count):
        node = base + STATE_SIZE * index
        made = set_children(h, x, base, made, node, pairs, texts, starts)
        pairs += 2 * h[node + EDGES]
    if x[MISSES_USED] > 0:
        return False
    for index in range(count - 1, -1, -1):
        if not is_open:
            close_spent(h, x, base + STATE_SIZE * index)
    for index in range(count):
        set_moves(h, base + STATE_SIZE * index, label)
    return True
