"""ClientLoop: the event loop a backend's client lives on, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Awaitable, Callable
from contextlib import suppress

from runtime.errors import EngineClosed

__all__ = ["ClientLoop"]

CLOSE_SECONDS = 5.0


class ClientLoop:
    """Starts with the first call that is posted, and ends with `close`, or when nobody holds it any more.

    Args:
        name: the backend's, for messages.
        on_close: closes the client; called on the loop, last of all. It must not hold the loop's owner.
    """

    def __init__(self, name: str, on_close: Callable[[], Awaitable[None]]) -> None:
        self._name = name
        self._on_close = on_close
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    def post(self, call: Callable[[], object]) -> None:
        """Runs `call` on the loop, soon, and in the order of the posts.

        Raises:
            EngineClosed: after `close`.
        """
        with self._lock:
            if self._closed:
                raise EngineClosed(f"the {self._name} backend was closed")
            loop = self._loop or self._start()
            loop.call_soon_threadsafe(call)

    def _start(self) -> asyncio.AbstractEventLoop:
        loop = self._loop = asyncio.new_event_loop()
        thread = threading.Thread(target=_run, args=(loop, self._on_close), name=f"sgdsl-{self._name}", daemon=True)
        self._thread = thread
        weakref.finalize(self, _stop, loop)
        thread.start()
        return loop

    def close(self) -> None:
        """Cancels what runs there, closes the client and ends the thread."""
        with self._lock:
            self._closed = True
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None:
            return
        _stop(loop)
        if thread is not threading.current_thread():
            thread.join(CLOSE_SECONDS)


def _stop(loop: asyncio.AbstractEventLoop) -> None:
    with suppress(RuntimeError):  # it is closed already
        loop.call_soon_threadsafe(loop.stop)


def _run(loop: asyncio.AbstractEventLoop, on_close: Callable[[], Awaitable[None]]) -> None:
    try:
        loop.run_forever()
        loop.run_until_complete(_wind_up(on_close))
    finally:
        loop.close()


async def _wind_up(on_close: Callable[[], Awaitable[None]]) -> None:
    own = asyncio.current_task()
    tasks = [task for task in asyncio.all_tasks() if task is not own]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    with suppress(Exception):  # a client that cannot even be closed is given up all the same
        await asyncio.wait_for(on_close(), CLOSE_SECONDS / 2)
    loop = asyncio.get_running_loop()
    await loop.shutdown_asyncgens()
    await loop.shutdown_default_executor()
