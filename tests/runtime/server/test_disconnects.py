"""Clients that go away, over bare sockets, at every stage of every kind of request."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from runtime.engine import Engine
from runtime.server.keys import RUNNING
from runtime.server.local_engine import LocalEngine
from runtime.server.programs.runner import ProgramRunner
from sgdsl.served.runner import GraphRunner

PROMPT = "the theatre there, then the thin thing thinks "
SAMPLING = {"max_new_tokens": 400, "ignore_eos": True}
GEN = {"kind": "Gen", "name": "x", "sampling": {"kind": "Sampling", "max_tokens": 400, "ignore_eos": True}}
GRAPH = {
    "sgdsl_graph": 1,
    "kind": "Graph",
    "name": "main",
    "parameters": [],
    "instructions": [{"kind": "Instruction", "stream": 0, "node": GEN}],
}
BODIES: dict[str, dict[str, Any]] = {
    "/v1/completions": {"prompt": PROMPT, "ignore_eos": True},
    "/v1/chat/completions": {"messages": [{"role": "user", "content": PROMPT}], "ignore_eos": True},
    "/v1/responses": {"input": PROMPT, "ignore_eos": True},
    "/generate": {"text": PROMPT, "sampling_params": SAMPLING},
    "/programs": {"graph": GRAPH, "arguments": {}},
}
STAGES = ("in the headers", "in the body", "behind the body", "at the first event", "later")


def _request(path: str, body: bytes) -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


async def _steps(engine: Engine) -> int:
    return int((await asyncio.to_thread(engine.stats))["steps"])


@pytest.fixture
async def programs_client(tiny_engine: Engine, make_client: Any) -> Any:
    """A server that runs programs too."""
    from aiohttp.test_utils import TestClient, TestServer

    from runtime.server.app import make_app
    from runtime.server.config import ServerConfig

    local = LocalEngine(tiny_engine)
    runner: ProgramRunner = GraphRunner(local)
    client = TestClient(TestServer(make_app(local, ServerConfig(), runner), handler_cancellation=True))
    await client.start_server()
    yield client
    await client.close()


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("path", list(BODIES))
async def test_who_goes_away_leaves_nothing(
    programs_client: Any,
    tiny_engine: Engine,
    assert_nothing_held: Callable[[Engine], None],
    path: str,
    stage: str,
) -> None:
    running = programs_client.app[RUNNING]
    whole = _request(path, json.dumps({**BODIES[path], "stream": True}).encode())
    head = whole.index(b"\r\n\r\n") + 4
    sent = {"in the headers": whole[: head - 8], "in the body": whole[: head + 20]}.get(stage, whole)
    async with asyncio.timeout(60):
        reader, writer = await asyncio.open_connection("127.0.0.1", programs_client.port)
        writer.write(sent)
        await writer.drain()
        if sent is whole:
            await _until(lambda: len(running) == 1)
        if stage == "at the first event":
            await reader.readuntil(b"data: ")
        elif stage == "later":
            for _ in range(6):
                await reader.readuntil(b"data: ")
        writer.transport.abort()
        await _until(lambda: len(running) == 0)
        noticed = await _steps(tiny_engine)
    assert_nothing_held(tiny_engine)
    assert await _steps(tiny_engine) <= noticed + 2  # the step that runs, and one that was begun meanwhile


@pytest.mark.parametrize("path", list(BODIES))
async def test_who_waits_for_a_whole_answer_and_goes_leaves_nothing(
    programs_client: Any, tiny_engine: Engine, assert_nothing_held: Callable[[Engine], None], path: str
) -> None:
    running = programs_client.app[RUNNING]
    async with asyncio.timeout(60):
        _, writer = await asyncio.open_connection("127.0.0.1", programs_client.port)
        writer.write(_request(path, json.dumps(BODIES[path]).encode()))
        begun = await _steps(tiny_engine) + 3
        while await _steps(tiny_engine) < begun:
            await asyncio.sleep(0.001)
        writer.transport.abort()
        await _until(lambda: len(running) == 0)
        noticed = await _steps(tiny_engine)
    assert_nothing_held(tiny_engine)
    assert await _steps(tiny_engine) <= noticed + 2


async def test_who_goes_away_while_a_long_prompt_is_computed(
    make_client: Any,
    make_engine: Callable[..., Engine],
    assert_nothing_held: Callable[[Engine], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = make_engine(chunked_prefill_size=16, page_size=16)
    runner, goes_on = engine._core.runner, threading.Event()
    run, batches = runner.run, []

    def held_up(batch: Any) -> Any:
        batches.append(batch)
        assert len(batches) < 3 or goes_on.wait(60)
        return run(batch)

    monkeypatch.setattr(runner, "run", held_up)
    client = await make_client(LocalEngine(engine))
    prompt = list(range(20, 370)) + list(range(20, 120))
    async with asyncio.timeout(60):
        _, writer = await asyncio.open_connection("127.0.0.1", client.port)
        writer.write(_request("/generate", json.dumps({"input_ids": prompt, "sampling_params": SAMPLING}).encode()))
        await _until(lambda: len(batches) == 3)
        writer.transport.abort()
        await _until(lambda: len(client.app[RUNNING]) == 0)
        goes_on.set()
    assert_nothing_held(engine)
    assert len(batches) == 3
    assert engine.stats()["generated_tokens"] == 0
