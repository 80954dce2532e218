"""Entrance: where connections come in, up to as many as the process can have open."""

from __future__ import annotations

import asyncio
from typing import cast

import msgspec
from aiohttp import web
from typing_extensions import override

from runtime.server.errors import Problem
from runtime.server.open_files import OpenFiles

__all__ = ["Entrance", "full"]


class Entrance(web.BaseSite):
    """Listens on host and port. Who comes when all places are taken is told to come later, with 503.

    Without that, a process that has no file left can do nothing but refuse to listen: asyncio then tries again and
    again, for each connection of its backlog anew, and does and logs little else.

    Args:
        runner: whose server is behind it.
        host, port: where.
        files: how many there may be.
    """

    def __init__(self, runner: web.AppRunner, host: str, port: int, files: OpenFiles) -> None:
        super().__init__(runner, backlog=files.at_once)
        self._address = (host, port)
        self._most = files.num_clients

    @property
    @override
    def name(self) -> str:
        return "http://{}:{}".format(*self._address)

    @override
    async def start(self) -> None:
        """Begins to listen.

        Raises:
            OSError: host and port cannot be had.
        """
        await super().start()
        server = self._runner.server
        if server is None:
            raise RuntimeError("the runner was not set up")
        most = self._most

        def enter() -> asyncio.Protocol:
            return server() if most is None or len(server.connections) < most else _Refusal(most)

        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(enter, *self._address, backlog=self._backlog)


class _Refusal(asyncio.Protocol):
    """A connection that is sent away."""

    def __init__(self, most: int) -> None:
        self._most = most

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        writable = cast("asyncio.WriteTransport", transport)  # of which uvloop's own are no subclass
        writable.write(full(self._most))
        writable.close()


def full(most: int) -> bytes:
    """The whole answer."""
    message = f"{most} connections are open, as many as the server may have; try again later"
    problem = Problem(503, message, code="too_many_connections")
    body = msgspec.json.encode(problem.body())
    head = (
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
