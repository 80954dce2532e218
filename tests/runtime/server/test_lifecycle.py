from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from runtime.engine import Engine
from runtime.errors import ConfigError, EngineClosed
from runtime.handle import Handle
from runtime.server.config import ServerConfig
from runtime.server.lifecycle import serve_until
from runtime.server.local_engine import LocalEngine
from runtime.session import Session
from runtime.wire import messages as wire

ENDLESS: dict[str, Any] = {"prompt": "the", "ignore_eos": True, "stream": True}


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


class _Counting(LocalEngine):
    """Counts what it is asked; fails while it is told to."""

    num_asked = 0
    fails = False

    def server_info(self) -> Handle[dict[str, Any]]:
        self.num_asked += 1
        if self.fails:
            raise EngineClosed("it is gone")
        return super().server_info()

    def open(self, *, namespace: str = "", program: str = "") -> Session:
        self.num_asked += 1
        return super().open(namespace=namespace, program=program)


async def _run(
    engine: LocalEngine, stop: asyncio.Event, hurry: asyncio.Event | None = None, **settings: Any
) -> tuple[asyncio.Task[None], str]:
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    config = ServerConfig(port=0, **settings)
    task = asyncio.create_task(serve_until(stop, engine, config, ready.set_result, None, hurry))
    return task, await ready


@pytest.mark.parametrize(("tokens", "seconds", "is_cut"), [(20, 60, False), (None, 0, True)])
async def test_who_is_served_when_the_order_to_stop_comes_goes_on_for_a_while(
    tiny_engine: Engine, tokens: int | None, seconds: float, is_cut: bool
) -> None:
    stop = asyncio.Event()
    task, url = await _run(LocalEngine(tiny_engine), stop, drain_seconds=seconds)
    async with aiohttp.ClientSession() as session, asyncio.timeout(60):
        async with session.post(f"{url}/v1/completions", json={**ENDLESS, "max_tokens": tokens}) as response:
            await response.content.readline()
            stop.set()
            text = await response.text()
        assert ('"code":"stopping"' in text) is is_cut
        assert ('"finish_reason":"length"' in text) is not is_cut
        assert text.endswith("data: [DONE]\n\n")
        await task
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"{url}/health")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/completions", {"prompt": "the", "ignore_eos": True}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}], "ignore_eos": True}),
        ("/v1/responses", {"input": "hi", "ignore_eos": True}),
    ],
)
@pytest.mark.parametrize("is_stream", [False, True])
async def test_who_is_cut_short_is_told_to_come_again(
    tiny_engine: Engine, path: str, body: dict[str, Any], is_stream: bool
) -> None:
    stop = asyncio.Event()
    task, url = await _run(LocalEngine(tiny_engine), stop, drain_seconds=0)
    async with aiohttp.ClientSession() as session, asyncio.timeout(60):
        asked = asyncio.create_task(session.post(url + path, json={**body, "stream": is_stream}))
        if is_stream:
            await asked
        while tiny_engine.stats()["running"] == 0:
            await asyncio.sleep(0.001)
        stop.set()
        async with await asked as response:
            text = await response.text()
    assert '"code":"stopping"' in text
    assert "the server is stopping" in text
    assert response.status == (200 if is_stream else 503)
    assert is_stream or response.headers["Retry-After"] == "5"
    await task


async def test_who_connects_first_waits_for_nothing_of_the_engine(tiny_engine: Engine) -> None:
    """What a client of sessions is greeted with was made before; else it would stand in line with requests."""
    stop = asyncio.Event()
    engine = _Counting(tiny_engine)
    task, url = await _run(engine, stop)
    asked = engine.num_asked
    assert asked > 0
    async with aiohttp.ClientSession() as session, asyncio.timeout(60):
        for _ in range(2):
            async with session.ws_connect(url + wire.PATH) as socket:
                (hello,) = wire.read_from_server(await socket.receive_str())
                assert isinstance(hello, wire.Hello)
    assert engine.num_asked == asked
    stop.set()
    await task


async def test_an_engine_that_cannot_be_asked_keeps_no_server_from_coming_up(
    tiny_engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stop = asyncio.Event()
    engine = _Counting(tiny_engine)
    engine.fails = True
    task, url = await _run(engine, stop)
    assert "is not ready: EngineClosed: it is gone" in caplog.text
    async with aiohttp.ClientSession() as session, asyncio.timeout(60):
        async with session.get(f"{url}{wire.PATH}", headers=UPGRADE) as response:
            assert response.status == 503
        engine.fails = False  # another has taken its place
        async with session.ws_connect(url + wire.PATH) as socket:
            assert isinstance(wire.read_from_server(await socket.receive_str())[0], wire.Hello)
    stop.set()
    await task


async def test_while_it_drains_no_connection_of_sessions_begins(tiny_engine: Engine) -> None:
    stop, hurry = asyncio.Event(), asyncio.Event()
    task, url = await _run(LocalEngine(tiny_engine), stop, hurry, drain_seconds=60)
    async with (
        aiohttp.ClientSession() as session,
        asyncio.timeout(60),
        session.post(f"{url}/v1/completions", json=ENDLESS) as response,
    ):
        await response.content.readline()
        stop.set()
        while (await session.get(f"{url}/health")).status == 200:
            await asyncio.sleep(0.001)
        async with session.get(f"{url}{wire.PATH}", headers=UPGRADE) as refused:
            assert (refused.status, refused.headers["Retry-After"]) == (503, "5")
        hurry.set()
        assert '"code":"stopping"' in await response.text()
    await task


async def test_a_port_that_is_taken(tiny_engine: Engine) -> None:
    stop = asyncio.Event()
    task, url = await _run(LocalEngine(tiny_engine), stop)
    port = int(url.rpartition(":")[2])
    with pytest.raises(ConfigError, match=f"port={port}"):
        await serve_until(stop, LocalEngine(tiny_engine), ServerConfig(port=port), print)
    stop.set()
    await task
