from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest
import uvloop
from aiohttp import web

from runtime.server.entrance import Entrance
from runtime.server.open_files import OpenFiles

FILES = OpenFiles(130)
HOST = "127.0.0.1"


async def _here(_: web.Request) -> web.Response:
    return web.Response(text="here")


@asynccontextmanager
async def _served() -> AsyncIterator[int]:
    app = web.Application()
    app.router.add_get("/", _here)
    runner = web.AppRunner(app)
    await runner.setup()
    await Entrance(runner, HOST, 0, FILES).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def _ask(port: int, stack: AsyncExitStack) -> tuple[bytes, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection(HOST, port)
    stack.callback(writer.close)
    writer.write(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
    return await reader.read(4096), writer


async def _fill() -> None:
    async with asyncio.timeout(30), _served() as port, AsyncExitStack() as stack:
        assert FILES.num_clients is not None
        inside = [await _ask(port, stack) for _ in range(FILES.num_clients)]
        assert all(answer.startswith(b"HTTP/1.1 200") for answer, _ in inside)
        reader, writer = await asyncio.open_connection(HOST, port)
        stack.callback(writer.close)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert b"Retry-After: 1" in head
        assert f"Content-Length: {len(body)}".encode() in head
        assert json.loads(body)["error"]["code"] == "too_many_connections"
        inside[0][1].close()
        answer = b""
        while not answer.startswith(b"HTTP/1.1 200"):
            with suppress(ConnectionError):  # who is sent away while it is asking may not hear why
                answer, _ = await _ask(port, stack)


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_who_finds_no_place_is_told_so_and_comes_in_when_another_has_gone(
    factory: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_fill())
