"""Routes: sessions by websocket and by plain HTTP."""

from __future__ import annotations

from aiohttp import web

from runtime.server.keys import ENGINE, model_name
from runtime.server.sessions.greeting import Greeting
from runtime.server.sessions.keys import GREETING, PEERS
from runtime.server.sessions.socket import connect
from runtime.wire import messages as wire

__all__ = ["prepare", "routes"]


def prepare(app: web.Application) -> None:
    """Gives an application what this room keeps."""
    app[GREETING] = Greeting(app[ENGINE], model_name(app))
    app[PEERS] = set()


def routes() -> list[web.RouteDef]:
    """This room's."""
    return [web.get(wire.PATH, connect)]
