"""Servers over the tiny engine, each with a client of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeAlias

import pytest
from aiohttp.test_utils import TestClient, TestServer

from runtime.config import EngineConfig
from runtime.engine import Engine
from runtime.model.config import ModelConfig
from runtime.model.llama import Llama
from runtime.server.app import make_app
from runtime.server.config import ServerConfig
from runtime.server.lifecycle import serve_until
from runtime.server.local_engine import LocalEngine
from runtime.startup import assemble
from runtime.tokenizer import Tokenizer

Client: TypeAlias = TestClient[Any, Any]
MakeClient: TypeAlias = Callable[..., Awaitable[Client]]
Serving: TypeAlias = Callable[..., AbstractContextManager[str]]


@pytest.fixture(scope="session")
def _shared_engine(tiny_model: Llama, tiny_shape: ModelConfig, tiny_tokenizer: Tokenizer) -> Iterator[Engine]:
    given = {"max_total_tokens": 4096, "attention": "torch", "audit": "step", "chat_template": "chatml"}
    config = EngineConfig.of(given)
    assembled = assemble(
        config, tiny_model, tiny_shape, tiny_tokenizer, free_bytes=1 << 30, name="tiny", weights="tiny"
    )
    with Engine.of(config, assembled) as engine:
        yield engine


@pytest.fixture(scope="session")
def serving() -> Serving:
    """Servers in threads of their own, for clients that block; each is at a URL while the block runs."""
    return _serving


@contextmanager
def _serving(engine: Any, programs: Any = None, **settings: Any) -> Iterator[str]:
    ready: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event, str]] = Future()

    async def run() -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        config = ServerConfig(port=0, **{"drain_seconds": 0.0, **settings})
        await serve_until(stop, engine, config, lambda url: ready.set_result((loop, stop, url)), programs)

    with ThreadPoolExecutor(1) as pool:
        serves = pool.submit(asyncio.run, run())
        loop, stop, url = ready.result(60)
        try:
            yield url
        finally:
            loop.call_soon_threadsafe(stop.set)
            serves.result(60)


@pytest.fixture
def tiny_engine(_shared_engine: Engine) -> Engine:
    """One for all tests, its cache empty; who shuts one down makes one for itself."""
    _shared_engine.flush_cache()
    return _shared_engine


@pytest.fixture
async def make_client(tiny_engine: Engine) -> AsyncIterator[MakeClient]:
    clients: list[Client] = []

    async def make(engine: Any = None, **settings: Any) -> Client:
        app = make_app(engine or LocalEngine(tiny_engine), ServerConfig(**settings))
        client = TestClient(TestServer(app))
        await client.start_server()
        clients.append(client)
        return client

    yield make
    for client in clients:
        await client.close()


@pytest.fixture
async def client(make_client: MakeClient) -> Client:
    return await make_client()
