from __future__ import annotations

from typing import Any

import pytest


async def test_who_has_no_key_is_told_so(make_client: Any) -> None:
    client = await make_client(api_keys=("first", "second"))
    for header in ({}, {"Authorization": "Bearer other"}, {"Authorization": "Basic first"}):
        async with client.get("/v1/models", headers=header) as response:
            body = await response.json()
        assert response.status == 401
        assert body["error"]["code"] == "invalid_api_key"
        assert response.headers["WWW-Authenticate"] == "Bearer"
    for key in ("first", "second"):
        async with client.get("/v1/models", headers={"Authorization": f"Bearer {key}"}) as response:
            assert response.status == 200
    async with client.get("/health") as response:
        assert response.status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nowhere", 404), ("POST", "/v1/models", 405), ("DELETE", "/health", 405)]
)
async def test_what_aiohttp_refuses_has_the_same_shape(client: Any, method: str, path: str, status: int) -> None:
    async with client.request(method, path) as response:
        body = await response.json()
    assert response.status == status
    assert set(body["error"]) == {"message", "type", "param", "code"}
