from __future__ import annotations

from typing import Any

from runtime.server.keys import RUNNING


async def test_health_is_red_while_the_server_stops(client: Any) -> None:
    async with client.get("/health") as response:
        assert (response.status, await response.json()) == (200, {"status": "ok"})
    await client.app[RUNNING].drain(0)
    async with client.get("/health") as response:
        assert (response.status, await response.json()) == (503, {"status": "stopping"})
