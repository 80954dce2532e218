"""Connections: who is connected without asking anything is sent away after a while."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from aiohttp import web

__all__ = ["CONNECTIONS", "Connections"]

SWEEPS = 4
"""How often within the shorter of the two times is looked for them."""


class Connections:
    """Remembers when each connection's last request ended. Lives on the event loop.

    Whoever sends the lines of a request one by one, never to end, is no better than who sends nothing.

    Args:
        header_seconds: for the first request of a connection to be there, up to the end of its headers.
        idle_seconds: between two requests.
    """

    def __init__(self, header_seconds: float, idle_seconds: float) -> None:
        self._header_seconds = header_seconds
        self._idle_seconds = idle_seconds
        self._busy: set[web.RequestHandler] = set()
        self._ends: dict[web.RequestHandler, float] = {}
        self._is_swept = False
        self._clock: Callable[[], float] = lambda: asyncio.get_running_loop().time()

    @contextmanager
    def busy(self, connection: web.RequestHandler) -> Iterator[None]:
        """A request of that connection is worked on while the block runs."""
        self._busy.add(connection)
        try:
            yield
        finally:
            self._busy.discard(connection)
            if self._is_swept:  # else nobody would ever forget it
                self._ends[connection] = self._clock() + self._idle_seconds

    def expire(self, connections: Iterable[web.RequestHandler]) -> None:
        """Closes those of all connections whose time is up, and forgets those that are gone."""
        now = self._clock()
        known = self._ends
        self._ends = {}
        for one in connections:
            end = self._ends[one] = known.get(one, now + self._header_seconds)
            if one not in self._busy and end <= now and one.transport is not None:
                one.transport.abort()

    async def sweep(self, server: web.Server) -> None:
        """Expires again and again, until it is cancelled."""
        self._is_swept = True
        while True:
            await asyncio.sleep(min(self._header_seconds, self._idle_seconds) / SWEEPS)
            self.expire(server.connections)


CONNECTIONS: web.AppKey[Connections] = web.AppKey("connections", Connections)
