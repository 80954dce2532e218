"""Health: whether the process answers. Whether the engine does is `/health_generate`."""

from __future__ import annotations

from aiohttp import web

from runtime.server.bodies import answer
from runtime.server.keys import RUNNING

__all__ = ["routes"]


async def health(request: web.Request) -> web.Response:
    """The server lives; while it stops it says so with 503, that no new requests come."""
    if request.app[RUNNING].is_draining:
        return web.json_response({"status": "stopping"}, status=503)
    return answer({"status": "ok"})


def routes() -> list[web.RouteDef]:
    """This room's."""
    return [web.get("/health", health)]
