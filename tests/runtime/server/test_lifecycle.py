from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from runtime.engine import Engine
from runtime.errors import ConfigError
from runtime.server.config import ServerConfig
from runtime.server.lifecycle import serve_until
from runtime.server.local_engine import LocalEngine

ENDLESS: dict[str, Any] = {"prompt": "the", "ignore_eos": True, "stream": True}


async def _run(engine: Engine, stop: asyncio.Event, **settings: Any) -> tuple[asyncio.Task[None], str]:
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    config = ServerConfig(port=0, **settings)
    task = asyncio.create_task(serve_until(stop, LocalEngine(engine), config, ready.set_result))
    return task, await ready


@pytest.mark.parametrize(("tokens", "seconds", "is_cut"), [(20, 60, False), (None, 0, True)])
async def test_who_is_served_when_the_order_to_stop_comes_goes_on_for_a_while(
    tiny_engine: Engine, tokens: int | None, seconds: float, is_cut: bool
) -> None:
    stop = asyncio.Event()
    task, url = await _run(tiny_engine, stop, drain_seconds=seconds)
    async with aiohttp.ClientSession() as session, asyncio.timeout(60):
        async with session.post(f"{url}/v1/completions", json={**ENDLESS, "max_tokens": tokens}) as response:
            await response.content.readline()
            stop.set()
            text = await response.text()
        assert ("request_cancelled" in text) is is_cut
        assert ('"finish_reason":"length"' in text) is not is_cut
        assert text.endswith("data: [DONE]\n\n")
        await task
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"{url}/health")


async def test_a_port_that_is_taken(tiny_engine: Engine) -> None:
    stop = asyncio.Event()
    task, url = await _run(tiny_engine, stop)
    port = int(url.rpartition(":")[2])
    with pytest.raises(ConfigError, match=f"port={port}"):
        await serve_until(stop, LocalEngine(tiny_engine), ServerConfig(port=port), print)
    stop.set()
    await task
