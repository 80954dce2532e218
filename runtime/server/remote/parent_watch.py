"""Parent watch: the engine's process does not outlive the server's, however that one ends."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading

__all__ = ["watch_parent"]

PR_SET_PDEATHSIG = 1


def watch_parent(parent: int, pipe: int) -> None:
    """Has this process killed when its parent ends.

    Linux does it by itself. Elsewhere, and there too, the end of a pipe that only the parent holds is waited for.

    Args:
        parent: its process id.
        pipe: its file descriptor; nothing more comes out of it while the parent lives.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before we asked
        os._exit(1)
    threading.Thread(target=_wait, args=(pipe,), name="sgdsl-parent-watch", daemon=True).start()


def _wait(pipe: int) -> None:
    while os.read(pipe, 1):  # not of a buffered file: the interpreter could not end while that is read
        pass
    os._exit(1)
