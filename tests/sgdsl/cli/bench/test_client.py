from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from sgdsl.cli.bench.client import Client
from sgdsl.cli.errors import CommandError

BODY = {"model": "first", "prompt": "x"}


async def test_an_answer_is_timed_and_counted(server: Any):
    async with Client(server.url, "secret", 10) as client:
        assert await client.model(None) == "first"
        sample = await client.ask("completions", BODY)
    assert server.keys == ["Bearer secret"]
    assert sample.error is None
    assert sample.text == " word0 word1 word2 word3"
    assert len(sample.arrivals) == 4
    assert sample.began <= sample.arrivals[0] <= sample.arrivals[-1] <= sample.ended
    assert (sample.prompt_tokens, sample.new_tokens, sample.cached_tokens) == (10, 8, 5)


async def test_a_chat_is_read_too(server: Any):
    async with Client(server.url + "/v1/", None, 10) as client:
        sample = await client.ask("chat/completions", {"messages": []})
    assert sample.text == " word0 word1 word2 word3"


@pytest.mark.parametrize(
    ("behave", "error", "detail"),
    [
        ("busy", "status 429", "too many"),
        ("cut", "stream cut off", "after 4 pieces"),
        ("error", "error in the stream", "the engine is gone"),
        ("silent", "timeout", "nothing for 0.2 s"),
    ],
)
async def test_failures_have_kinds(server: Any, behave: str, error: str, detail: str):
    server.behave = behave
    async with Client(server.url, None, 0.2) as client:
        sample = await client.ask("completions", BODY)
    assert sample.error == error
    assert detail in sample.detail
    assert sample.ended >= sample.began


async def test_a_server_that_is_not_there():
    async with Client("http://127.0.0.1:1", None, 5) as client:
        assert (await client.ask("completions", BODY)).error == "no connection"
        with pytest.raises(CommandError, match=r"--url http://127\.0\.0\.1:1/v1: Cannot connect"):
            await client.model(None)


async def test_a_model_that_is_not_there(server: Any):
    async with Client(server.url, None, 5) as client:
        assert await client.model("second") == "second"
        with pytest.raises(CommandError, match="--model third: the server has first, second"):
            await client.model("third")


async def test_a_connection_that_the_server_gave_up_is_made_anew():
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        if connections == 1:
            body = json.dumps({"data": [{"id": "first"}]}).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            await writer.drain()
            await reader.read(1)  # the next request has begun, but is not taken
            writer.transport.abort()
            return
        event = b'data: {"choices": [{"text": "again"}]}\n\ndata: [DONE]\n\n'
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(event), event))
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    own = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with own, Client(f"http://127.0.0.1:{own.sockets[0].getsockname()[1]}", None, 5) as client:
        assert await client.model(None) == "first"
        assert (await client.ask("completions", BODY)).text == "again"
    assert connections == 2
