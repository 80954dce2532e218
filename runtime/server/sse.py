"""Sse: a response that is a stream of server-sent events."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

import msgspec
from aiohttp import web

__all__ = ["Sse"]

DONE = b"data: [DONE]\n\n"
ALIVE = b": keep-alive\n\n"
HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",  # nginx hands every event on at once
}


class Sse:
    """Sends events; an async context manager, whose block is the stream.

    While nothing is said for a while, a comment keeps proxies and clients from giving up.

    Args:
        request: what is answered.
        keep_alive_seconds: how long a silence may be.
        headers: more of the response.
    """

    def __init__(
        self, request: web.Request, *, keep_alive_seconds: float, headers: dict[str, str] | None = None
    ) -> None:
        self._request = request
        self._response = web.StreamResponse(headers={**HEADERS, **(headers or {})})
        self._keep_alive_seconds = keep_alive_seconds
        self._num_sent = 0
        self._keeper: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Sse:
        await self._response.prepare(self._request)
        self._keeper = asyncio.create_task(self._keep_alive())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
        if error is None:
            await self._response.write_eof()

    @property
    def response(self) -> web.StreamResponse:
        """What the handler returns."""
        return self._response

    async def send(self, *contents: Any) -> None:
        """Sends JSON, an event each, in one write."""
        await self._write(b"".join([b"data: " + msgspec.json.encode(one) + b"\n\n" for one in contents]))

    async def send_named(self, *contents: dict[str, Any]) -> None:
        """The same, each event under the name that its `type` is."""
        events = [(one["type"].encode(), msgspec.json.encode(one)) for one in contents]
        await self._write(b"".join([b"event: " + name + b"\ndata: " + data + b"\n\n" for name, data in events]))

    async def done(self) -> None:
        """Sends what ends OpenAI's streams."""
        await self._write(DONE)

    async def _write(self, data: bytes) -> None:
        self._num_sent += 1
        await self._response.write(data)

    async def _keep_alive(self) -> None:
        while True:
            before = self._num_sent
            await asyncio.sleep(self._keep_alive_seconds)
            if self._num_sent == before:
                try:
                    await self._response.write(ALIVE)
                except (ConnectionError, RuntimeError):  # the client has gone, which the handler hears of by itself
                    return
