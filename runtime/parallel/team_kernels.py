"""What a team's threads run: imported only by those who are about to compile it.

A team is an array of int64, a value to a cache line of its own; places in it are those of `runtime.parallel.layout`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import types
from numba.extending import register_jitable

from runtime.kernel_cache import compile_cached
from runtime.parallel import atomics
from runtime.parallel.layout import ARRIVED, FUNCTION, JOB, LINE, ROUND, SEMAPHORES, SLEEPING, STOPPED, THREADS, TURN

__all__ = ["STAMP", "compile_run", "compile_serve", "meet"]

_external: Any = types.ExternalFunction
_yield: Any = _external("sched_yield", types.int32())
_wait: Any = _external("sem_wait", types.int32(types.int64))
_post: Any = _external("sem_post", types.int32(types.int64))

STAMP = atomics.STAMP
_PATIENT = 4000
"""Looks that a thread takes while it waits for another, before it lets somebody else have the core."""
_WAKEFUL = 2000
"""Looks that a thread takes for new work before it goes to sleep: some 20 microseconds."""


@register_jitable
def meet(team: int) -> None:
    """Waits until every thread of the team is here; what they wrote before is seen by all after.

    A barrier that counts arrivals, with a number of the round so that it can be used again at once (Mellor-Crummey and
    Scott 1991, "Algorithms for Scalable Synchronization on Shared-Memory Multiprocessors", section 3.1).
    """
    number = atomics.get(team + ROUND)
    if atomics.add(team + ARRIVED, 1) + 1 == atomics.get(team + THREADS):
        atomics.put(team + ARRIVED, 0)
        atomics.put(team + ROUND, number + 1)
        return
    looks = 0
    while atomics.get(team + ROUND) == number:
        atomics.pause()
        looks += 1
        if looks > _PATIENT:
            _yield()


def compile_run() -> Callable[[int, int, int], None]:
    """run(team, function, job): every thread calls function(part, threads, team, job); returns when all have ended."""
    stamp = STAMP

    def run(team: int, function: int, job: int) -> None:
        stamp  # noqa: B018
        threads = atomics.get(team + THREADS)
        atomics.put(team + FUNCTION, function)
        atomics.put(team + JOB, job)
        atomics.add(team + TURN, 1)
        for part in range(1, threads):
            if atomics.add(team + SLEEPING + part * LINE, 0) != 0:
                _post(team + SEMAPHORES + part * LINE)
        atomics.call(function, (0, threads, team, job))
        meet(team)

    whole = types.int64
    return compile_cached(run, types.void(whole, whole, whole))


def compile_serve() -> Callable[[int, int], None]:
    """serve(team, part): what every thread but the first does until the team is stopped."""
    stamp = STAMP

    def serve(team: int, part: int) -> None:
        stamp  # noqa: B018
        asleep, semaphore = team + SLEEPING + part * LINE, team + SEMAPHORES + part * LINE
        threads, turn, looks = atomics.get(team + THREADS), 0, 0
        while atomics.get(team + STOPPED) == 0:
            now = atomics.get(team + TURN)
            if now != turn:
                turn, looks = now, 0
                function, job = atomics.get(team + FUNCTION), atomics.get(team + JOB)
                atomics.call(function, (part, threads, team, job))
                meet(team)
                continue
            atomics.pause()
            looks += 1
            if looks > _WAKEFUL:
                # Said before the last look: whoever gives work after that look sees it, and posts.
                atomics.add(asleep, 1)
                if atomics.add(team + TURN, 0) == turn and atomics.get(team + STOPPED) == 0:
                    _wait(semaphore)
                atomics.add(asleep, -1)
                looks = 0

    return compile_cached(serve, types.void(types.int64, types.int64))
