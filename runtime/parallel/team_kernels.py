"""How a team's threads share work: imported only by those who are about to compile it.

A turn is one call of a function by all threads; the function goes through phases, whose parts the threads claim one by
one, and goes on to the next when all parts of a phase are done. So nobody waits for a thread that the system has put
aside, unless it was in the middle of a part: the others do the work, and a late thread runs through what is over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import types
from numba.extending import register_jitable

from runtime.kernel_cache import compile_cached
from runtime.parallel import atomics, layout
from runtime.parallel.layout import (
    ASLEEP,
    COUNTERS,
    FUNCTION,
    JOB,
    JOINED,
    ROOM,
    SEMAPHORE,
    STOPPED,
    THREADS,
    TURN,
    TURN_BYTES,
    TURNS,
)

__all__ = ["JOB_AT", "PARTS", "STAMP", "claim", "compile_run", "compile_serve", "finish", "wait"]

_external: Any = types.ExternalFunction
_sleep: Any = _external("sem_wait", types.int32(types.int64))
_post: Any = _external("sem_post", types.int32(types.int64))
_copy: Any = _external("memcpy", types.int64(types.int64, types.int64, types.int64))
_fill: Any = _external("memset", types.int64(types.int64, types.int32, types.int64))

_SOURCES = b"".join(Path(str(file)).read_bytes() for file in (__file__, layout.__file__))
STAMP = f"{atomics.STAMP} {hashlib.sha256(_SOURCES).hexdigest()}"

JOB_AT = JOB
"""Where a turn's job is, from the turn's address."""
PARTS = 4
"""Parts of a phase for each thread: a thread that is late, or slow, leaves more of them to the others."""
_HEADER = layout.turns_at(0)
_PATIENCE = 2000
"""Looks that a thread takes at what it waits for, before it sleeps: some 30 microseconds."""


@register_jitable
def claim(turn: int, phase: int) -> int:
    """The next part of a phase; it is over where that is not below the number of its parts."""
    return int(atomics.add(turn + COUNTERS + 16 * phase, 1))


@register_jitable
def finish(team: int, turn: int, phase: int, parts: int) -> None:
    """Says that a claimed part is done; the last one wakes whoever sleeps."""
    if atomics.add(turn + COUNTERS + 16 * phase + 8, 1) + 1 == parts:
        _wake(team, 0)


@register_jitable
def wait(team: int, turn: int, thread: int, phase: int, parts: int) -> None:
    """Returns when all parts of a phase are done; what was written in them is then seen."""
    done, asleep = turn + COUNTERS + 16 * phase + 8, team + ASLEEP + thread * ROOM
    looks = 0
    while atomics.get(done) < parts:
        atomics.pause()
        looks += 1
        if looks > _PATIENCE:
            # Said before the last look: whoever finishes after that look finds a sleeper.
            atomics.swap(asleep, 1)
            if atomics.add(done, 0) < parts:
                _sleep(team + SEMAPHORE + thread * ROOM)
            atomics.swap(asleep, 0)
            looks = 0


@register_jitable
def _wake(team: int, first: int) -> None:
    """Posts once for each sleeper; one who was just about to sleep only wakes for nothing later on."""
    for thread in range(first, atomics.get(team + THREADS)):
        asleep = team + ASLEEP + thread * ROOM
        if atomics.get(asleep) != 0 and atomics.swap(asleep, 0) != 0:
            _post(team + SEMAPHORE + thread * ROOM)


def compile_run() -> Callable[[int, int, int, int, int], None]:
    """run(team, function, job, size, phases): a turn of function(thread, threads, team, turn).

    `job` is the address of `size` bytes, which the turn gets a copy of. Returns when the caller's own call does.
    """
    stamp = STAMP

    def run(team: int, function: int, job: int, size: int, phases: int) -> None:
        stamp  # noqa: B018
        threads, number = atomics.get(team + THREADS), atomics.get(team + TURN) + 1
        turn = team + _HEADER + threads * ROOM + number % TURNS * TURN_BYTES
        for thread in range(1, threads):
            joined = team + JOINED + thread * ROOM
            while 0 < atomics.get(joined) <= number - TURNS:  # still in the turn whose memory this is
                atomics.pause()
        atomics.put(turn + FUNCTION, function)
        _copy(turn + JOB, job, size)
        _fill(turn + COUNTERS, types.int32(0), 16 * phases)
        atomics.add(team + TURN, 1)
        _wake(team, 1)
        atomics.call(function, (0, threads, team, turn))

    return compile_cached(run, types.void(*([types.int64] * 5)))


def compile_serve() -> Callable[[int, int], None]:
    """serve(team, thread): what every thread but the first does until the team is stopped."""
    stamp = STAMP

    def serve(team: int, thread: int) -> None:
        stamp  # noqa: B018
        asleep, joined = team + ASLEEP + thread * ROOM, team + JOINED + thread * ROOM
        threads, last, looks = atomics.get(team + THREADS), 0, 0
        while atomics.get(team + STOPPED) == 0:
            number = atomics.get(team + TURN)
            if number != last:
                last, looks = number, 0
                # Said before the look at how far the others are: whoever wants this turn's memory after it, waits.
                atomics.swap(joined, number)
                if atomics.add(team + TURN, 0) - number < TURNS - 1:
                    turn = team + _HEADER + threads * ROOM + number % TURNS * TURN_BYTES
                    atomics.call(atomics.get(turn + FUNCTION), (thread, threads, team, turn))
                atomics.swap(joined, 0)
                continue
            atomics.pause()
            looks += 1
            if looks > _PATIENCE:
                atomics.swap(asleep, 1)
                if atomics.add(team + TURN, 0) == last and atomics.get(team + STOPPED) == 0:
                    _sleep(team + SEMAPHORE + thread * ROOM)
                atomics.swap(asleep, 0)
                looks = 0

    return compile_cached(serve, types.void(types.int64, types.int64))
