"""Streams are counted right, from the mock engine behind the real server and from aiohttp alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import psutil
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from benchmarks.serving.mock_engine import MockEngine
from benchmarks.serving.mock_server import EVENT, bare
from benchmarks.serving.streams import Count, stream
from runtime.server.app import make_app


@pytest.mark.parametrize("size", [1, 7, len(EVENT) - 1, len(EVENT), 10_000])
def test_tokens_are_counted_wherever_the_stream_is_cut(size: int) -> None:
    content = EVENT * 30 + EVENT.replace(b"null}]", b'"length"}]')
    count = Count()
    for start in range(0, len(content), size):
        count.add(content[start : start + size])
    assert count.tokens == 30
    assert count.pieces == -(-len(content) // size)


def _ours() -> web.Application:
    engine = MockEngine()
    app = make_app(engine)

    async def lives(_: web.Application):  # type: ignore[no-untyped-def]
        with engine:
            yield

    app.cleanup_ctx.append(lives)
    return app


@pytest.mark.parametrize("make", [_ours, bare])
async def test_every_token_is_an_event_of_its_own(make: Callable[[], web.Application]) -> None:
    async with asyncio.timeout(60), TestServer(make()) as server:
        found = await stream(str(server.make_url("/")), psutil.Process(), 5, 20)
    assert found.tokens == 100
    assert found.rate > 0
    assert found.server_seconds >= 0


async def test_an_answer_that_is_an_error_ends_it() -> None:
    async with asyncio.timeout(60), TestServer(web.Application()) as server:
        with pytest.raises(RuntimeError, match="status 404"):
            await stream(str(server.make_url("/")), psutil.Process(), 2, 2)
