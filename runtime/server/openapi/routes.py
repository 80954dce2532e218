"""Routes: `GET /openapi.json`."""

from __future__ import annotations

from functools import lru_cache

import msgspec
from aiohttp import web

from runtime.server.keys import CONFIG
from runtime.server.openapi.document import document
from runtime.server.openapi.operations import operations

__all__ = ["routes"]


async def openapi(request: web.Request) -> web.Response:
    """The document, made when somebody first asks for it."""
    body = _encoded(needs_key=bool(request.app[CONFIG].api_keys))
    return web.Response(body=body, content_type="application/json")


@lru_cache(maxsize=2)
def _encoded(*, needs_key: bool) -> bytes:
    return msgspec.json.encode(document(operations(), needs_key=needs_key))


def routes() -> list[web.RouteDef]:
    """This room's."""
    return [web.get("/openapi.json", openapi)]
