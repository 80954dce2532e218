"""A server of OpenAI's API that says what a test wants, in a thread of its own."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web


class FakeServer:
    """Streams `pieces` words to every request; `behave` says what else happens."""

    def __init__(self) -> None:
        self.pieces = 4
        self.behave = "well"
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def start(self) -> None:
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/completions", self._answer)
        app.router.add_post("/v1/chat/completions", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        self._site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await self._site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _models(self, request: web.Request) -> web.Response:
        self.keys.append(request.headers.get("Authorization"))
        if self.behave == "no key":
            return web.Response(status=401)
        return web.json_response({"data": [{"id": "first"}, {"id": "second"}]})

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        if self.behave == "busy":
            return web.json_response({"error": {"message": "too many"}}, status=429)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        if self.behave == "silent":
            await asyncio.sleep(30)
        for number in range(self.pieces):
            if self.behave == "dies" and len(self.bodies) > 2 and number == 2:
                await self._site.stop()
                assert request.transport is not None
                request.transport.abort()
                return response
            await self._send(response, {"choices": [self._piece(body, f" word{number}")]})
        if self.behave == "error":
            await self._send(response, {"error": {"message": "the engine is gone"}})
            return response
        if self.behave == "cut":
            return response
        await self._send(response, {"choices": [{"finish_reason": "stop"}]})
        usage = {"prompt_tokens": 10, "completion_tokens": 8, "prompt_tokens_details": {"cached_tokens": 5}}
        await self._send(response, {"choices": [], "usage": usage})
        await response.write(b": a comment\n\ndata: [DONE]\n\n")
        return response

    def _piece(self, body: dict[str, Any], text: str) -> dict[str, Any]:
        return {"delta": {"content": text}} if "messages" in body else {"text": text}

    async def _send(self, response: web.StreamResponse, event: dict[str, Any]) -> None:
        await response.write(b"data: " + json.dumps(event).encode() + b"\n\n")


@pytest.fixture
def server() -> Iterator[FakeServer]:
    fake = FakeServer()
    fake.start()
    yield fake
    fake.stop()
