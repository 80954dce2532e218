from __future__ import annotations

from typing import Any

import aiohttp
import pytest

SITE = "https://example.org"
BEFOREHAND = {"Origin": SITE, "Access-Control-Request-Method": "POST"}


async def test_pages_of_other_sites_are_refused(client: Any) -> None:
    async with client.post("/tokenize", json={"text": "a"}, headers={"Origin": SITE}) as response:
        assert response.status == 403
        assert (await response.json())["error"]["code"] == "origin_not_allowed"
    async with client.options("/tokenize", headers=BEFOREHAND) as response:
        assert response.status == 403
    with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
        await client.ws_connect("/sessions/socket", headers={"Origin": SITE})
    async with client.get("/v1/models", headers={"Origin": SITE}) as response:
        assert response.status == 200
        assert "Access-Control-Allow-Origin" not in response.headers


async def test_the_servers_own_pages_are_not(client: Any) -> None:
    own = str(client.make_url("/").origin())
    async with client.post("/tokenize", json={"text": "a"}, headers={"Origin": own}) as response:
        assert response.status == 200


async def test_pages_that_are_allowed(make_client: Any) -> None:
    client = await make_client(cors_origins=(SITE,), api_keys=("k",))
    async with client.options("/v1/completions", headers=BEFOREHAND) as response:
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Origin"] == SITE
        assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
    body = {"prompt": "abc", "max_tokens": 1, "stream": True}
    headers = {"Origin": SITE, "Authorization": "Bearer k"}
    async with client.post("/v1/completions", json=body, headers=headers) as response:
        assert response.status == 200
        assert response.headers["Access-Control-Allow-Origin"] == SITE
        assert "Origin" in response.headers["Vary"]
    async with client.post("/v1/completions", json=body, headers={"Origin": SITE}) as response:
        assert response.status == 401  # and the page can read why
        assert response.headers["Access-Control-Allow-Origin"] == SITE
    async with client.post("/v1/completions", json=body, headers=headers | {"Origin": "https://evil.org"}) as response:
        assert response.status == 403
        assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize("origin", ["null", "https://", "not a url", "http://[", SITE + ":1"])
async def test_strange_origins(client: Any, origin: str) -> None:
    async with client.post("/tokenize", json={"text": "a"}, headers={"Origin": origin}) as response:
        assert response.status == 403
