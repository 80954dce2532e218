from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nowhere", 404), ("POST", "/v1/models", 405), ("DELETE", "/health", 405)]
)
async def test_what_aiohttp_refuses_has_the_same_shape(client: Any, method: str, path: str, status: int) -> None:
    async with client.request(method, path) as response:
        body = await response.json()
    assert response.status == status
    assert set(body["error"]) == {"message", "type", "param", "code"}
