"""Connections that rest: those that answered are counted, and one that the server closed is not."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from benchmarks.serving import idle
from benchmarks.serving.latency import Latency
from runtime.server.health import health
from runtime.server.keys import RUNNING
from runtime.server.running import Running


def _app() -> web.Application:
    app = web.Application()
    app[RUNNING] = Running(10)
    app.router.add_get("/health", health)
    return app


async def test_only_those_that_are_still_connected_answer() -> None:
    async with (
        asyncio.timeout(30),
        TestServer(_app()) as server,
        idle.resting(str(server.make_url("/")), 5) as connections,
    ):
        assert len(connections) == 5
        connections[2][1].close()
        assert [await idle.answers(one) for one in connections] == [True, True, False, True, True]


async def test_a_server_that_refuses_is_told() -> None:
    async with asyncio.timeout(30), TestServer(web.Application()) as server:
        with pytest.raises(RuntimeError, match="did not answer connection 1"):
            async with idle.resting(str(server.make_url("/")), 1):
                pass


def test_a_latency_is_in_milliseconds() -> None:
    assert Latency.of([0.003, 0.001, 0.002]) == Latency(p50=2.0, p99=3.0, most=3.0, count=3)
