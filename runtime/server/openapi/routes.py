"""Routes: `GET /openapi.json`."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from runtime.server.access.door import DOOR
from runtime.server.keys import CONFIG
from runtime.server.openapi.document import Guarded, document
from runtime.server.openapi.operations import operations_of

__all__ = ["routes"]


class _Document:
    """Made when somebody first asks for it."""

    def __init__(self) -> None:
        self._body: bytes | None = None

    async def send(self, request: web.Request) -> web.Response:
        if self._body is None:
            self._body = await asyncio.to_thread(_made, request.app)
        return web.Response(body=self._body, content_type="application/json")


def _made(app: web.Application) -> bytes:
    config, anybody = app[CONFIG], app[DOOR].tenant_of("")
    has_admins = bool(config.admin_api_keys) or config.api_key_file is not None
    return msgspec.json.encode(document(operations_of(app), Guarded(anybody is None, has_admins)))


def routes() -> list[web.RouteDef]:
    """This room's."""
    return [web.get("/openapi.json", _Document().send)]
