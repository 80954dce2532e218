"""One byte: from one thread to the threads after it.

A thread is (state, register, cell): where it is, how many characters a counted lexeme has read, and its stack. Written
in the part of Python that numba compiles; `grammars.machine.kernels` does that. Run as they are, the same functions are
the twin without numba. `h` is the heap, `x` the scratch memory of the call.
"""

from __future__ import annotations

from typing import Any

from grammars.machine.layout import (
    BOUNDARY,
    CAPTURING,
    CLOSABLE,
    CLOSE,
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
    GOTO,
    HIGH,
    JUMPS,
    KEY,
    LABEL,
    LABELS,
    LEAST,
    LEAST_LEFT,
    LOW,
    MOST,
    MOST_LEFT,
    MULTI,
    PUSH,
    RESUME,
    RETURN,
    ROW,
    UNKNOWN,
)
from grammars.machine.scratch import (
    CELLS,
    CELLS_USED,
    HIT,
    MAX_CELLS,
    MAX_MISSES,
    MAX_THREADS,
    MISSES,
    MISSES_USED,
    OUT,
    OVERFLOW,
    PENDING,
    STRICT,
)

__all__ = ["apply", "arrive", "below", "frame_of", "is_counted_out", "lookup", "miss", "new_cell", "step"]


def frame_of(h: Any, x: Any, cell: int) -> int:
    """The frame on top of a stack."""
    if cell >= 0:
        return h[cell]  # type: ignore[no-any-return]
    return x[CELLS - 2 * cell]  # type: ignore[no-any-return]


def below(h: Any, x: Any, cell: int) -> int:
    """The stack without the frame on top."""
    if cell >= 0:
        return h[cell + 1]  # type: ignore[no-any-return]
    return x[CELLS - 2 * cell + 1]  # type: ignore[no-any-return]


def new_cell(x: Any, frame: int, cell: int) -> int:
    """A stack with one more frame."""
    used = x[CELLS_USED] + 1
    if used > MAX_CELLS:
        x[OVERFLOW] = 1
        return cell
    x[CELLS_USED] = used
    x[CELLS + 2 * used] = frame
    x[CELLS + 2 * used + 1] = cell
    return -used  # type: ignore[no-any-return]


def miss(x: Any, what: int, label: int) -> None:
    """Notes down what has to be made before the answer is whole."""
    used = x[MISSES_USED]
    for index in range(used):
        if x[MISSES + 2 * index] == what and x[MISSES + 2 * index + 1] == label:
            return
    if used < MAX_MISSES:
        x[MISSES + 2 * used] = what
        x[MISSES + 2 * used + 1] = label
        x[MISSES_USED] = used + 1


def lookup(h: Any, s: int, byte: int) -> int:
    """The move of an expanded state for a byte."""
    while s != 0:
        pairs = h[s + EDGE_AT]
        for index in range(h[s + EDGES]):
            if h[pairs + 2 * index] == byte:
                return h[pairs + 2 * index + 1]  # type: ignore[no-any-return]
        row = h[s + ROW]
        if row != 0:
            return h[row + byte]  # type: ignore[no-any-return]
        s = h[s + ELSE]
    return 0


def is_counted_out(h: Any, s: int, n: int) -> bool:
    """Whether a counted lexeme in state `s` after `n` characters can no longer keep within its bounds."""
    if h[s + MOST] >= 0 and n + h[s + LEAST_LEFT] > h[s + MOST]:
        return True
    return h[s + MOST_LEFT] >= 0 and n + h[s + MOST_LEFT] < h[s + LEAST]  # type: ignore[no-any-return]


def _key_is_alive(h: Any, x: Any, s: int, cell: int) -> bool:
    jumps = h[frame_of(h, x, cell) + JUMPS]
    for label in range(h[s + LOW], h[s + HIGH]):
        if h[jumps + label] != 0:
            return True
    labels = h[s + LABELS]
    if labels != 0:
        for index in range(h[labels]):
            if h[jumps + h[labels + 1 + index]] != 0:
                return True
    return False


def arrive(h: Any, x: Any, count: int, s: int, n: int, cell: int) -> int:
    """Adds the thread to the outcome unless it is dead; `n` is -1 where a lexeme begins. The new number of threads."""
    flags = h[s + FLAGS]
    if flags & COUNTED:
        if flags & BOUNDARY or n < 0:
            n += 1
        if is_counted_out(h, s, n):
            return count
    else:
        n = 0
        if flags & KEY and not _key_is_alive(h, x, s, cell):
            return count
    if count >= MAX_THREADS:
        x[OVERFLOW] = 1
        return count
    at = OUT + 3 * count
    x[at] = s
    x[at + 1] = n
    x[at + 2] = cell
    return count + 1


def _pend(x: Any, top: int, move: int, s: int, n: int, cell: int) -> int:
    if top >= MAX_THREADS:
        x[OVERFLOW] = 1
        return top
    at = PENDING + 4 * top
    x[at] = move
    x[at + 1] = s
    x[at + 2] = n
    x[at + 3] = cell
    return top + 1


def _return_to(h: Any, x: Any, count: int, cell: int) -> int:
    frame = frame_of(h, x, cell)
    if h[frame + FRAME_FLAGS] & CONSUMED:
        cell = below(h, x, cell)
    return arrive(h, x, count, h[frame + RESUME], 0, cell)


def _jump(h: Any, x: Any, count: int, label: int, cell: int) -> int:
    frame = frame_of(h, x, cell)
    if h[frame + FRAME_FLAGS] & CAPTURING and (x[STRICT] != 0 or h[frame + JUMPS] == 0):
        x[HIT] = 1
        return count
    jump = h[h[frame + JUMPS] + label]
    if jump == UNKNOWN:
        miss(x, frame, label)
        return count
    if jump != 0:
        rest = below(h, x, cell)
        for index in range(h[jump]):
            after = h[jump + 1 + 2 * index]
            kept = cell if after == frame else new_cell(x, after, rest)
            count = arrive(h, x, count, h[jump + 2 + 2 * index], 0, kept)
    return count


def apply(h: Any, x: Any, count: int, move: int, s: int, n: int, cell: int) -> int:
    """Makes a move of any kind but MULTI; the new number of threads."""
    kind = move & 7
    operand = move >> 3
    if kind == GOTO:
        return arrive(h, x, count, operand, n, cell)
    if kind == PUSH:
        for index in range(h[operand + 1]):
            cell = new_cell(x, h[operand + 2 + index], cell)
        return arrive(h, x, count, h[operand], -1, cell)
    if kind == RETURN or kind == LABEL:  # noqa: SIM109 (quicker compiled)
        if h[s + FLAGS] & COUNTED and n < h[s + LEAST]:
            return count
        return _return_to(h, x, count, cell) if kind == RETURN else _jump(h, x, count, operand, cell)
    if kind == CLOSE:
        frame = frame_of(h, x, cell)
        if h[frame + FRAME_FLAGS] & CLOSABLE:
            return _return_to(h, x, count, below(h, x, cell))
        if h[frame + FRAME_FLAGS] & CAPTURING and h[frame + JUMPS] == 0:
            x[HIT] = 1
    return count


def step(h: Any, x: Any, s: int, n: int, cell: int, byte: int) -> int:
    """Reads one byte. The threads after it lie in `x` from OUT on; their number is returned."""
    count = 0
    top = _pend(x, 0, -1, s, n, cell)
    while top > 0:
        top -= 1
        at = PENDING + 4 * top
        move = x[at]
        s = x[at + 1]
        n = x[at + 2]
        cell = x[at + 3]
        if move < 0:
            flags = h[s + FLAGS]
            if not flags & EXPANDED:
                miss(x, s, -1)
                continue
            move = lookup(h, s, byte)
            if flags & FINAL and (move == 0 or flags & FORK) and not (flags & COUNTED and n < h[s + LEAST]):
                frame = frame_of(h, x, cell)
                rest = below(h, x, cell) if h[frame + FRAME_FLAGS] & CONSUMED else cell
                top = _pend(x, top, -1, h[frame + RESUME], 0, rest)
        if move == 0:
            continue
        if move & 7 == MULTI:
            for index in range(h[move >> 3]):
                top = _pend(x, top, h[(move >> 3) + 1 + index], s, n, cell)
        else:
            count = apply(h, x, count, move, s, n, cell)
    return count
