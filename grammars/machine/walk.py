"""Masks, and whole tokens: threads taken through the vocabulary's trie.

The same rules as in `grammars.machine.step`: compiled by numba, or run as plain Python. `v` is the vocabulary's trie
(`grammars.machine.trie`), `row` a mask of uint32 words.
"""

from __future__ import annotations

from typing import Any

from grammars.machine.layout import (
    BOUNDARY,
    CACHE,
    CONSUMED,
    COUNTED,
    EDGE_AT,
    EDGES,
    ELSE,
    END,
    EXPANDED,
    FINAL,
    FLAGS,
    FORK,
    FRAME_FLAGS,
    GOTO,
    KEY,
    LEAST,
    LEAST_LEFT,
    LEXEME,
    LOOPS,
    MOST,
    MOST_LEFT,
    RESUME,
    RETURN,
    ROW,
)
from grammars.machine.scratch import (
    CELLS_USED,
    DEEPEST,
    HIT,
    HITS,
    HITS_USED,
    LIST,
    MARKS,
    MAX_HITS,
    MAX_THREADS,
    MAX_WORK,
    MISSES_USED,
    NEXT,
    OUT,
    OVERFLOW,
    PATH,
    WORK,
)
from grammars.machine.step import apply, below, frame_of, is_counted_out, lookup, miss, step
from grammars.machine.trie import (
    BYTE_AT,
    CHILDREN,
    DEEPEST_AT,
    DEPTH_AT,
    ENDS_AT,
    FIRST_AT,
    NODES,
    SKIP_AT,
    TOKEN_AT,
    WITHIN_AT,
)

__all__ = ["advance", "completes", "fill", "fill_below", "forced", "goes_on", "inner", "reached_over"]


def begin_call(x: Any) -> None:
    """Sets the counters of the scratch memory back."""
    x[CELLS_USED] = 0
    x[MISSES_USED] = 0
    x[OVERFLOW] = 0
    x[HIT] = 0
    x[HITS_USED] = 0


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
        token = v[index]
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


def walk(h: Any, v: Any, x: Any, row: Any, pending: int) -> None:
    """Allows every token below the noted nodes whose bytes their threads can read."""
    byte_at = v[BYTE_AT]
    depth_at = v[DEPTH_AT]
    skip_at = v[SKIP_AT]
    while pending > 0:
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
            if table != 0 and not h[s + FLAGS] & COUNTED and stays(h, v, s, i):
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


def counted_cache(h: Any, s: int, n: int) -> int:
    """Which of a counted state's caches serves after `n` characters; -1 for none."""
    most = h[h[s + CACHE]]
    room = most
    if h[s + MOST] >= 0 and h[s + MOST] - n < most:
        room = h[s + MOST] - n
    need = h[s + LEAST] - n
    if need <= 0:
        return room  # type: ignore[no-any-return]
    if room == most:
        return most + 1 + (need if need < most else most)  # type: ignore[no-any-return]
    if need == room:
        return 2 * (most + 1) + room  # type: ignore[no-any-return]
    return -1


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
    if index < 0:
        return 0
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
        Whether nothing was missing; otherwise the misses in `x` are to be made and the row filled again.
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
    return x[MISSES_USED]  # type: ignore[no-any-return]


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
    x[MISSES_USED] = 0
    x[DEEPEST] = 0
    byte_at = v[BYTE_AT]
    depth_at = v[DEPTH_AT]
    skip_at = v[SKIP_AT]
    count = 0
    x[PATH] = s
    x[PATH + 1] = n
    i = 1
    while i < v[NODES]:
        path = PATH + 3 * (v[depth_at + i] - 1)
        s = x[path]
        n = x[path + 1]
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
        move = h[table + v[byte_at + i]] if table != 0 else lookup(h, s, v[byte_at + i])
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
            x[path + 3] = s
            x[path + 4] = n
            i += 1
            continue
        after = v[skip_at + i]
        if move != 0 and enough:
            set_tokens(v, row, i)
            node = i + 1
            while node < after:
                behind[2 * count] = move
                behind[2 * count + 1] = node
                count += 1
                node = v[skip_at + node]
        i = after
    return count


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
        pending = add_work(v, x, 0, node, LIST, count)
        walk(h, v, x, row, pending)
        for word in range(len(row)):
            if row[word] != 0:
                out[found] = start
                found += 1
                break
    return found


def fill_below(h: Any, v: Any, x: Any, threads: Any, node: int, row: Any) -> None:
    """Adds to `row` the tokens that end at a node or below it and that threads behind its byte can read."""
    count = _enlist(x, threads)
    set_tokens(v, row, node)
    walk(h, v, x, row, add_work(v, x, 0, node, LIST, count))
