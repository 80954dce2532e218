"""Asking the server as clients do."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import pytest

Post: TypeAlias = Callable[..., Awaitable[tuple[int, Any]]]
Events: TypeAlias = Callable[..., Awaitable[list[Any]]]


@pytest.fixture
def post(client: Any) -> Post:
    """Status and JSON of an answer."""

    async def ask(path: str, **body: Any) -> tuple[int, Any]:
        async with client.post(path, json=body) as response:
            return response.status, await response.json()

    return ask


@pytest.fixture
def events(client: Any) -> Events:
    """The events of a stream, `[DONE]` checked and taken off."""

    async def ask(path: str, **body: Any) -> list[Any]:
        async with client.post(path, json={**body, "stream": True}) as response:
            assert response.status == 200
            assert response.headers["Content-Type"].startswith("text/event-stream")
            assert response.headers["X-Accel-Buffering"] == "no"
            text = await response.text()
        *lines, done = [line.removeprefix("data: ") for line in text.split("\n\n") if line.startswith("data: ")]
        assert done == "[DONE]"
        return [json.loads(line) for line in lines]

    return ask
