"""Team: threads that share one function's work."""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.parallel.layout import COUNTERS, JOB, LINE, MOST_PHASES, ROOM, SEMAPHORE, STOPPED, THREADS, size_of

__all__ = ["Team", "team_of"]


class Team:
    """A fixed number of threads, the caller's among them, for work that is one function in many phases.

    Waking threads for each of a step's some 300 parts, and waiting for them in between, costs more than the parts
    themselves; here they are woken once a step (see `runtime.parallel.team_kernels`). They look for new work for some
    microseconds, then they sleep, so an idle engine takes no time from anybody.

    Args:
        threads: how many; 1 to 256.

    Raises:
        ValueError: `threads` is out of range.
        Exception: whatever numba raises where the kernels do not compile.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        size = size_of(threads)
        self._run, serve = _kernels()
        memory = np.zeros(size + LINE, dtype=np.uint8)
        self._address = address = -(-memory.ctypes.data // LINE) * LINE
        ctypes.c_int64.from_address(address + THREADS).value = threads
        for thread in range(threads):
            _libc().sem_init(ctypes.c_void_p(address + SEMAPHORE + thread * ROOM), 0, 0)
        self._lock = threading.Lock()
        for thread in range(1, threads):
            # The thread keeps the memory, not the team, which ends when nobody else has it.
            arguments = (serve, memory, address, thread)
            threading.Thread(target=_serve, args=arguments, name=f"sgdsl-team-{thread}", daemon=True).start()
        self._finalizer = weakref.finalize(self, _stop, memory, address, threads)

    def run(self, function: int, job: npt.NDArray[Any], phases: int = 1) -> None:
        """Has every thread call a C function, and waits until its phases are over; other callers wait their turn.

        Args:
            function: address of function(thread, threads, team, turn), all int64.
            job: what it is about; a copy lies at turn + `JOB_AT` while it runs.
            phases: how many the function goes through.

        Raises:
            ValueError: there is no room for such a job, or so many phases.
        """
        if job.nbytes > COUNTERS - JOB or phases > MOST_PHASES:
            raise ValueError(f"a turn has no room for {job.nbytes} bytes or {phases} phases")
        with self._lock:
            self._run(self._address, function, job.ctypes.data, job.nbytes, phases)

    def close(self) -> None:
        """Ends the threads."""
        self._finalizer()


def _serve(serve: Callable[[int, int], None], memory: npt.NDArray[np.uint8], address: int, thread: int) -> None:
    serve(address, thread)


def _stop(memory: npt.NDArray[np.uint8], address: int, threads: int) -> None:
    ctypes.c_int64.from_address(address + STOPPED).value = 1
    for thread in range(1, threads):
        _libc().sem_post(ctypes.c_void_p(address + SEMAPHORE + thread * ROOM))


def team_of(threads: int) -> Team:
    """The team of that size, which all models of the process share; a forked child makes one of its own."""
    return _team_in(os.getpid(), threads)


@cache
def _team_in(process: int, threads: int) -> Team:
    return Team(threads)


@cache
def _libc() -> Any:
    return ctypes.CDLL(None)


@cache
def _kernels() -> tuple[Callable[..., None], Callable[[int, int], None]]:
    from runtime.parallel.team_kernels import compile_run, compile_serve

    return compile_run(), compile_serve()
