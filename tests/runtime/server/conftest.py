"""Servers over the tiny engine, each with a client of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import pytest
from aiohttp.test_utils import TestClient, TestServer

from runtime.engine import Engine
from runtime.server.app import make_app
from runtime.server.config import ServerConfig
from runtime.server.local_engine import LocalEngine

Client: TypeAlias = TestClient[Any, Any]
MakeClient: TypeAlias = Callable[..., Awaitable[Client]]


@pytest.fixture
def tiny_engine(make_engine: Callable[..., Engine]) -> Engine:
    return make_engine(chat_template="chatml")


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
