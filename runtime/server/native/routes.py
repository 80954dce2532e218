"""Routes: the native endpoints."""

from __future__ import annotations

from aiohttp import web

from runtime.server.keys import ENGINE
from runtime.server.native.cache import cache
from runtime.server.native.control import abort_request, flush_cache
from runtime.server.native.generate import generate
from runtime.server.native.info import model_info, server_info
from runtime.server.native.readiness import READINESS, Readiness, health_generate
from runtime.server.native.texts import detokenize, tokenize

__all__ = ["prepare", "routes"]


def prepare(app: web.Application) -> None:
    """Gives an application what this room keeps."""
    app[READINESS] = Readiness(app[ENGINE])


def routes() -> list[web.RouteDef]:
    """This room's; the names with `get_` are SGLang's older ones."""
    return [
        web.post("/generate", generate),
        web.post("/tokenize", tokenize),
        web.post("/detokenize", detokenize),
        web.get("/flush_cache", flush_cache),
        web.post("/flush_cache", flush_cache),
        web.post("/abort_request", abort_request),
        web.get("/server_info", server_info),
        web.get("/get_server_info", server_info),
        web.get("/model_info", model_info),
        web.get("/get_model_info", model_info),
        web.get("/health_generate", health_generate),
        web.get("/cache", cache),
    ]
