"""Threads taken over bytes: whole tokens, and the bytes that must come next.

The same rules as in `grammars.machine.step`: compiled by numba, or run as plain Python. `h` is the heap, `v` the
vocabulary's trie (`grammars.machine.trie`), `x` scratch memory, `row` a mask of uint32 words.
"""

from __future__ import annotations

from typing import Any

from grammars.machine.scratch import HIT, HITS_USED, LIST, MARKS, MAX_THREADS, MISSES_USED, NEXT, OUT, OVERFLOW, STRICT
from grammars.machine.step import below, frame_of, step
from grammars.machine.trie import CHILDREN
from grammars.machine.walk import add_work, begin_call, child_of, completes, mark, walk

__all__ = ["advance", "forced", "goes_on", "is_any_set", "reached_over"]


def _same_stack(h: Any, x: Any, one: int, other: int) -> bool:
    while one != other:
        if one == 0 or other == 0 or frame_of(h, x, one) != frame_of(h, x, other):
            return False
        one = below(h, x, one)
        other = below(h, x, other)
    return True


def _gather(h: Any, x: Any, total: int, count: int) -> int:
    """Adds the outcome of a step to the next list of threads, without those that are in it already."""
    for index in range(count):
        at = OUT + 3 * index
        is_new = True
        for earlier in range(total):
            known = NEXT + 3 * earlier
            if x[known] == x[at] and x[known + 1] == x[at + 1] and _same_stack(h, x, x[known + 2], x[at + 2]):
                is_new = False
                break
        if is_new:
            if total >= MAX_THREADS:
                x[OVERFLOW] = 1
                return total
            known = NEXT + 3 * total
            x[known] = x[at]
            x[known + 1] = x[at + 1]
            x[known + 2] = x[at + 2]
            total += 1
    return total


def _enlist(x: Any, threads: Any) -> int:
    """Copies threads into the scratch memory; how many there are."""
    begin_call(x)
    for index in range(len(threads)):
        for part in range(3):
            x[LIST + 3 * index + part] = threads[index, part]
    return len(threads)


def advance(h: Any, x: Any, threads: Any, text: Any, begin: int, end: int) -> int:
    """Reads text[begin:end]. The threads after it lie in `x` from LIST on; their number is returned."""
    count = _enlist(x, threads)
    x[STRICT] = 1
    for position in range(begin, end):
        total = 0
        for index in range(count):
            at = LIST + 3 * index
            total = _gather(h, x, total, step(h, x, x[at], x[at + 1], x[at + 2], text[position]))
        for index in range(3 * total):
            x[LIST + index] = x[NEXT + index]
        count = total
        if count == 0:
            return 0
    return count


def forced(h: Any, x: Any, threads: Any, out: Any) -> int:
    """Writes the bytes that must come next into `out` (uint8), at most as many as fit; returns their number.

    Stops where two bytes are possible, where the text may end, and where something is missing.
    """
    count = _enlist(x, threads)
    length = 0
    while length < len(out):
        for byte in range(256):
            x[MARKS + byte] = 0
        for index in range(count):
            at = LIST + 3 * index
            if completes(h, x, x[at], x[at + 1], x[at + 2]):
                return length
            mark(h, x, x[at], x[at + 1], x[at + 2])
        found = -1
        total = 0
        for byte in range(256):
            if x[MARKS + byte] == 0:
                continue
            for index in range(count):
                at = LIST + 3 * index
                reached = step(h, x, x[at], x[at + 1], x[at + 2], byte)
                if reached > 0:
                    if found >= 0 and found != byte:
                        return length
                    found = byte
                    total = _gather(h, x, total, reached)
        if found < 0 or x[MISSES_USED] > 0 or x[HIT] != 0:
            return length
        for index in range(3 * total):
            x[LIST + index] = x[NEXT + index]
        count = total
        out[length] = found
        length += 1
    return length


def goes_on(h: Any, x: Any, threads: Any) -> bool:
    """Whether some byte may come next."""
    count = _enlist(x, threads)
    for index in range(count):
        at = LIST + 3 * index
        for byte in range(256):
            x[MARKS + byte] = 0
        mark(h, x, x[at], x[at + 1], x[at + 2])
        for byte in range(256):
            if x[MARKS + byte] != 0 and step(h, x, x[at], x[at + 1], x[at + 2], byte) > 0:
                return True
    return x[HIT] != 0  # type: ignore[no-any-return]


def is_any_set(row: Any) -> bool:
    """Whether a mask allows any token."""
    for word in range(len(row)):  # noqa: SIM110 (numba compiles no generators)
        if row[word] != 0:
            return True
    return False


def reached_over(h: Any, v: Any, x: Any, threads: Any, text: Any, row: Any, out: Any) -> int:
    """Where tokens begin that reach over the end of a text and are allowed.

    Args:
        threads: behind the text.
        text: uint8, the text.
        row: uint32 [W], written to.
        out: int32, gets the offsets in ascending order.

    Returns:
        Number of offsets.
    """
    count = _enlist(x, threads)
    found = 0
    for start in range(len(text)):
        node = v[CHILDREN + text[start]]
        position = start + 1
        while node > 0 and position < len(text):
            node = child_of(v, node, text[position])
            position += 1
        if node <= 0:
            continue
        row[:] = 0
        x[HITS_USED] = 0
        pending = add_work(v, x, 0, node, LIST, count)
        walk(h, v, x, row, pending)
        reaches = x[HITS_USED] > 0  # behind a capturing frame, more may be allowed
        for word in range(len(row)):
            reaches = reaches or row[word] != 0
        if reaches:
            out[found] = start
            found += 1
    return found
