"""Idle: connections that have asked once and stay, and what they mean to the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

import aiohttp

from benchmarks.serving.latency import Latency, health, repeated, short_completion
from benchmarks.serving.served import Served
from runtime.server.open_files import OpenFiles

__all__ = ["Idle", "answers", "measure", "resting"]

REQUESTS = 300
AT_ONCE = 64
QUESTION = b"GET /health HTTP/1.1\r\nHost: here\r\n\r\n"


@dataclass(frozen=True)
class Idle:
    """What so many connections came to.

    Attributes:
        kilobytes: of the server's memory for each.
        alive: of those that were opened, how many still answer at the end.
        health, completion: without them, then with them.
    """

    kilobytes: float
    alive: int
    health: tuple[Latency, Latency]
    completion: tuple[Latency, Latency]


async def measure(served: Served, num_connections: int) -> Idle:
    """Latencies without and with that many idle connections.

    Raises:
        RuntimeError: this process cannot open as many, or the server answers with an error.
    """
    _check_room(num_connections)
    async with aiohttp.ClientSession(served.url) as http:
        for _ in range(REQUESTS):  # memory that the server takes once
            await short_completion(http)
        before = await _latencies(http)
        memory = served.process.memory_info().rss
        async with resting(served.url, num_connections) as connections:
            grown = served.process.memory_info().rss - memory
            after = await _latencies(http)
            alive = sum(await asyncio.gather(*(answers(one) for one in connections)))
    return Idle(grown / 1024 / num_connections, alive, (before[0], after[0]), (before[1], after[1]))


def _check_room(num_connections: int) -> None:
    most = OpenFiles.raised().num_clients
    if most is not None and most < num_connections:
        raise RuntimeError(f"this process can open {most} connections, not {num_connections}: raise `ulimit -Hn`")


async def _latencies(http: aiohttp.ClientSession) -> tuple[Latency, Latency]:
    few = REQUESTS.__gt__
    return await repeated(partial(health, http), few), await repeated(partial(short_completion, http), few)


@asynccontextmanager
async def resting(url: str, count: int) -> AsyncIterator[list[Connection]]:
    """Connections that have each had an answer and ask no more."""
    parts = urlsplit(url)
    gate = asyncio.Semaphore(AT_ONCE)
    connections: list[Connection] = []

    async def enter() -> None:
        async with gate:
            connections.append(await asyncio.open_connection(parts.hostname, parts.port))
            if not await answers(connections[-1]):
                raise RuntimeError(f"the server did not answer connection {len(connections)}")

    try:
        await asyncio.gather(*(enter() for _ in range(count)))
        yield connections
    finally:
        for _, writer in connections:
            writer.close()


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def answers(connection: Connection) -> bool:
    """Whether a connection is asked and has its answer."""
    reader, writer = connection
    try:
        writer.write(QUESTION)
        return (await reader.read(4096)).startswith(b"HTTP/1.1 200 ")
    except ConnectionError:
        return False
