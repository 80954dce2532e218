from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

import sgdsl as sg
from runtime.byte_tokenizer import byte_tokenizer
from runtime.config import EngineConfig
from runtime.engine import Engine
from runtime.model.loader import random_model, tiny_config
from runtime.startup import assemble

VOCAB_SIZE = 384


@dataclass
class Reply:
    """What the stand-in server does with a request."""

    text: str | list[str] = "fine"
    reason: str = "stop"
    status: int = 200
    message: str = ""
    usage: dict[str, Any] | None = field(
        default_factory=lambda: {
            "prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 5},
        }
    )  # fmt: skip
    logprobs: list[Any] = field(default_factory=list)
    choice: dict[str, Any] = field(default_factory=dict)
    raw: bytes | None = None
    content_type: str = "text/event-stream"
    hangs: bool = False
    drops: bool = False
    waits: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    whole: dict[str, Any] | None = None


class Server:
    """A stand-in for servers of the OpenAI and Anthropic APIs, in a thread, on one port of this machine."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.headers: list[Any] = []  # looked up in any case
        self.replies: list[Reply] = []
        self.answer: Callable[[dict[str, Any]], Reply] | None = None
        self.arrived = threading.Event()
        self.aborted = threading.Event()
        self.most_at_once = 0
        self.last_reply: float | None = None
        self._at_once = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def request(self) -> dict[str, Any]:
        """The only request so far."""
        assert len(self.requests) == 1, self.requests
        return self.requests[0]

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        app = web.Application()
        app.router.add_post("/{path:.*}", self._handle)
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.5)

        async def start() -> None:
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.port = runner.addresses[0][1]

        self._loop.run_until_complete(start())
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = {**await request.json(), "path": request.path}
        self.requests.append(body)
        self.headers.append(request.headers.copy())
        self.arrived.set()
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            return await self._reply(request, body)
        except (asyncio.CancelledError, ConnectionResetError):
            self.aborted.set()
            raise
        finally:
            self._at_once -= 1
            self.last_reply = time.monotonic()

    def _next(self, body: dict[str, Any]) -> Reply:
        if self.replies:
            return self.replies.pop(0)
        return self.answer(body) if self.answer is not None else Reply()

    async def _reply(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        reply = self._next(body)
        if reply.waits:
            await asyncio.sleep(reply.waits)
        if reply.status != 200:
            error = {"error": {"message": reply.message or f"status {reply.status}", "type": "fault", "code": None}}
            return web.json_response(error, status=reply.status, headers=reply.headers)
        if reply.whole is not None:
            return web.json_response(reply.whole)
        response = web.StreamResponse(headers={"Content-Type": reply.content_type})
        await response.prepare(request)
        if reply.raw is not None:
            await response.write(reply.raw)
        else:
            async for event in _events(request.path, reply):
                await response.write(event)
        if reply.hangs:
            await asyncio.sleep(30)
        if reply.drops:
            assert request.transport is not None
            request.transport.abort()
        return response


async def _events(path: str, reply: Reply) -> AsyncIterator[bytes]:
    pieces = [reply.text] if isinstance(reply.text, str) else reply.text
    if path.endswith("/messages"):
        for event in _anthropic(pieces, reply):
            yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
        return
    is_chat = path.endswith("/chat/completions")
    for position, piece in enumerate(pieces):
        part: dict[str, Any] = {"delta": {"content": piece}} if is_chat else {"text": piece}
        logprobs = reply.logprobs[position] if position < len(reply.logprobs) else None
        yield _data({"choices": [{"index": 0, "finish_reason": None, "logprobs": logprobs, **part}]})
    if reply.hangs or reply.drops:
        return
    last: dict[str, Any] = {"delta": {}} if is_chat else {"text": ""}
    yield _data({"choices": [{"index": 0, "finish_reason": reply.reason, **last, **reply.choice}]})
    if reply.usage is not None:
        yield _data({"choices": [], "usage": {"total_tokens": 10, **reply.usage}})
    yield b"data: [DONE]\n\n"


def _data(value: dict[str, Any]) -> bytes:
    return f"data: {json.dumps({'id': 'x', 'object': 'chunk', 'created': 0, 'model': 'm', **value})}\n\n".encode()


def _anthropic(pieces: list[str], reply: Reply) -> Iterator[dict[str, Any]]:
    usage = {"input_tokens": 4, "output_tokens": 1, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 2}
    message = {
        "id": "x", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": None,
        "stop_sequence": None, "usage": usage,
    }  # fmt: skip
    yield {"type": "message_start", "message": message}
    yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    for piece in pieces:
        yield {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}
    if reply.hangs or reply.drops:
        return
    yield {"type": "content_block_stop", "index": 0}
    reason = {"stop": "end_turn", "length": "max_tokens"}.get(reply.reason, reply.reason)
    delta = {"stop_reason": reason, "stop_sequence": reply.choice.get("stop_sequence")}
    yield {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 6}}
    yield {"type": "message_stop"}


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def reply() -> type[Reply]:
    return Reply


@pytest.fixture
def openai(server: Server) -> Iterator[Callable[..., sg.OpenAI]]:
    """Makes backends of the stand-in server; the client does not try again unless it is told to."""
    made: list[sg.OpenAI] = []

    def make(model: str = "m", **options: Any) -> sg.OpenAI:
        given = {"base_url": f"{server.url}/v1", "api_key": "k", "max_retries": 0, **options}
        backend = sg.OpenAI(model, **given)
        made.append(backend)
        return backend

    yield make
    for backend in made:
        backend.close()


@pytest.fixture(scope="module")
def tiny_engine() -> Iterator[Engine]:
    """An engine on random weights, one token per byte."""
    shape = tiny_config(vocab_size=VOCAB_SIZE, max_position_embeddings=1024)
    config = EngineConfig.of({"max_total_tokens": 16384, "attention": "torch"})
    model = random_model(shape, seed=3, weight_format="float32")
    assembled = assemble(config, model, shape, byte_tokenizer(VOCAB_SIZE), free_bytes=1 << 30, name="tiny")
    with Engine.of(config, assembled) as engine:
        yield engine
