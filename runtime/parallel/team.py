"""Team: threads that wait for work together and meet at barriers inside it."""

from __future__ import annotations

import ctypes
import threading
import weakref
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.parallel.layout import LINE, SEMAPHORES, STOPPED, THREADS, size_of

__all__ = ["Team", "team_of"]


class Team:
    """A fixed number of threads, the caller's among them, for work that is one function in many parts.

    Waking threads for each of a step's some 200 parts, and waiting for them in between, costs more than the parts
    themselves; here they are woken once a step, and meet inside (see `runtime.parallel.team_kernels.meet`). They look
    for new work for some microseconds, then they sleep, so an idle engine takes no time from anybody.

    Args:
        threads: how many; 1 to 256.

    Raises:
        ValueError: `threads` is out of range.
        Exception: whatever numba raises where the kernels do not compile.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._run, serve = _kernels()
        memory = np.zeros(size_of(threads) + LINE, dtype=np.uint8)
        self._address = address = -(-memory.ctypes.data // LINE) * LINE
        ctypes.c_int64.from_address(address + THREADS).value = threads
        for part in range(1, threads):
            _libc().sem_init(ctypes.c_void_p(address + SEMAPHORES + part * LINE), 0, 0)
        self._lock = threading.Lock()
        for part in range(1, threads):
            # The thread keeps the memory, not the team, which ends when nobody else has it.
            arguments = (serve, memory, address, part)
            threading.Thread(target=_serve, args=arguments, name=f"sgdsl-team-{part}", daemon=True).start()
        self._finalizer = weakref.finalize(self, _stop, memory, address, threads)

    def run(self, function: int, job: int) -> None:
        """Has every thread call a C function, and waits until all have returned; others who call it wait their turn.

        Args:
            function: address of function(part, threads, team, job), all int64.
            job: address of what it is about.
        """
        with self._lock:
            self._run(self._address, function, job)

    def close(self) -> None:
        """Ends the threads."""
        self._finalizer()


def _serve(serve: Callable[[int, int], None], memory: npt.NDArray[np.uint8], address: int, part: int) -> None:
    serve(address, part)


def _stop(memory: npt.NDArray[np.uint8], address: int, threads: int) -> None:
    ctypes.c_int64.from_address(address + STOPPED).value = 1
    for part in range(1, threads):
        _libc().sem_post(ctypes.c_void_p(address + SEMAPHORES + part * LINE))


@cache
def team_of(threads: int) -> Team:
    """The team of that size, which all models of the process share."""
    return Team(threads)


@cache
def _libc() -> Any:
    return ctypes.CDLL(None)


@cache
def _kernels() -> tuple[Callable[[int, int, int], None], Callable[[int, int], None]]:
    from runtime.parallel.team_kernels import compile_run, compile_serve

    return compile_run(), compile_serve()
