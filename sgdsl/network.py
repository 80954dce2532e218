"""Network: the thread in which this process talks to servers. It runs while anybody needs it."""

from __future__ import annotations

import asyncio
import threading

__all__ = ["Network"]


class Network:
    """An event loop in a thread of its own, apart from the interpreter's, which may wait for an answer of it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._num_users = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    def enter(self) -> asyncio.AbstractEventLoop:
        """The loop; the first to ask for it starts it. Everybody who asks must `leave`."""
        with self._lock:
            self._num_users += 1
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=_serve, args=(self._loop,), name="sgdsl-network", daemon=True).start()
            return self._loop

    def leave(self) -> None:
        """One user less; after the last one the thread ends. Called on the loop."""
        with self._lock:
            self._num_users -= 1
            if self._num_users == 0 and self._loop is not None:
                self._loop.stop()
                self._loop = None


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
