"""Who only seems to ask, over bare sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from runtime.engine import Engine
from runtime.server.config import ServerConfig
from runtime.server.keys import RUNNING
from runtime.server.lifecycle import serve_until
from runtime.server.local_engine import LocalEngine

PATH = "/v1/completions"
ENDLESS: dict[str, Any] = {"prompt": "the", "ignore_eos": True, "stream": True}


@asynccontextmanager
async def _server(engine: Engine, **settings: Any) -> AsyncIterator[int]:
    stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
    config = ServerConfig(port=0, drain_seconds=0.0, **settings)
    task = asyncio.create_task(serve_until(stop, LocalEngine(engine), config, ready.set_result))
    try:
        async with asyncio.timeout(60):
            yield int((await ready).rpartition(":")[2])
    finally:
        stop.set()
        await task


@asynccontextmanager
async def _socket(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


def _post(body: bytes, length: int | None = None, path: str = PATH) -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length or len(body)}\r\n\r\n".encode() + body


async def _ended(reader: asyncio.StreamReader) -> bytes:
    """What comes until the server ends the connection."""
    found = b""
    try:
        while more := await reader.read(65536):
            found += more
    except ConnectionError:
        pass
    return found


async def test_who_never_ends_the_headers_is_sent_away(tiny_engine: Engine) -> None:
    async with _server(tiny_engine, header_seconds=0.2) as port, _socket(port) as (reader, writer):
        writer.write(b"GET /health HTTP/1.1\r\n")

        async def drip() -> None:
            for number in range(10_000):
                writer.write(f"X-{number}: 1\r\n".encode())
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        assert await _ended(reader) == b""
        dripping.cancel()


async def test_who_asks_nothing_more_is_sent_away_and_who_waits_is_not(tiny_engine: Engine) -> None:
    async with _server(tiny_engine, header_seconds=0.2, idle_seconds=0.2) as port, _socket(port) as (reader, writer):
        body = json.dumps({"prompt": "the", "ignore_eos": True, "max_tokens": 400}).encode()
        writer.write(_post(body))
        answer = await _ended(reader)
        assert answer.startswith(b"HTTP/1.1 200")
        assert b'"completion_tokens":400' in answer


@pytest.mark.parametrize("drips", [False, True])
async def test_a_body_that_never_comes_or_by_drops(tiny_engine: Engine, drips: bool) -> None:
    async with _server(tiny_engine, body_seconds=0.2) as port, _socket(port) as (reader, writer):
        writer.write(_post(b'{"prompt"', length=100_000))
        answered = asyncio.create_task(reader.readuntil(b"}}"))
        while drips and not answered.done():
            writer.write(b" ")
            await asyncio.sleep(0.01)
        answer = await answered
        assert answer.startswith(b"HTTP/1.1 408")
        assert b'"code":"timeout"' in answer


@pytest.mark.parametrize("is_told", [True, False])
async def test_a_hundred_megabytes_are_refused_before_they_have_come(tiny_engine: Engine, is_told: bool) -> None:
    size = 100 << 20
    length = f"Content-Length: {size}" if is_told else "Transfer-Encoding: chunked"
    async with _server(tiny_engine, max_body_bytes=1 << 20) as port, _socket(port) as (reader, writer):
        writer.write(f"POST {PATH} HTTP/1.1\r\nHost: x\r\n{length}\r\n\r\n".encode())
        sent = 0
        answered = asyncio.create_task(reader.readuntil(b"}}"))
        while not is_told and not answered.done() and sent < size:
            writer.write(b"10000\r\n" + b" " * 65536 + b"\r\n")
            sent += 65536
            await asyncio.wait([asyncio.create_task(writer.drain()), answered], return_when="FIRST_COMPLETED")
        answer = await answered
        assert answer.startswith(b"HTTP/1.1 413")
        assert b'"invalid_request_error"' in answer
        assert sent < size // 4


async def test_who_says_no_more_but_listens_leaves_nothing_behind(
    tiny_engine: Engine, assert_nothing_held: Callable[[Engine], None]
) -> None:
    async with _server(tiny_engine) as port, _socket(port) as (reader, writer):
        writer.write(_post(json.dumps(ENDLESS).encode()))
        writer.write_eof()
        answer = await _ended(reader)
        assert not answer or answer.startswith(b"HTTP/1.1 200")
    assert_nothing_held(tiny_engine)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00" * 64, b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/9.9\r\n\r\n", b"{}\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: \x00\r\n\r\n",
    ],
)  # fmt: skip
async def test_what_is_no_http_harms_nobody_and_fills_no_log(
    tiny_engine: Engine, caplog: pytest.LogCaptureFixture, garbage: bytes
) -> None:
    async with _server(tiny_engine, header_seconds=0.3) as port:
        async with _socket(port) as (reader, writer):
            writer.write(garbage)
            answer = await _ended(reader)
        assert not answer or answer.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400", b"HTTP/1.0 505"))
        async with _socket(port) as (reader, writer):
            writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    assert [record.message for record in caplog.records if record.levelname not in ("DEBUG", "INFO")] == []


async def test_streams_that_are_dropped_all_at_once(
    make_client: Any, tiny_engine: Engine, assert_nothing_held: Callable[[Engine], None]
) -> None:
    client = await make_client()
    running = client.app[RUNNING]
    async with asyncio.timeout(60):
        sockets = [await asyncio.open_connection("127.0.0.1", client.port) for _ in range(24)]
        for place, (_, writer) in enumerate(sockets):
            writer.write(_post(json.dumps({**ENDLESS, "prompt": f"the {place}"}).encode()))
        while len(running) < len(sockets):
            await asyncio.sleep(0.001)
        for _, writer in sockets:
            writer.transport.abort()
        while len(running):
            await asyncio.sleep(0.001)
    assert_nothing_held(tiny_engine)
