"""Routes: sessions by websocket and by plain HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from aiohttp import web

from runtime.server.keys import CONFIG, ENGINE, model_name
from runtime.server.sessions import plain
from runtime.server.sessions.greeting import Greeting
from runtime.server.sessions.held import HeldSessions
from runtime.server.sessions.keys import GREETING, HELD, PEERS
from runtime.server.sessions.socket import connect
from runtime.wire import messages as wire

__all__ = ["prepare", "routes"]


def prepare(app: web.Application) -> None:
    """Gives an application what this room keeps."""
    app[GREETING] = Greeting(app[ENGINE], model_name(app))
    app[PEERS] = set()
    app[HELD] = HeldSessions(app[ENGINE], app[CONFIG].sessions)
    app.cleanup_ctx.append(_expiry)


async def _expiry(app: web.Application) -> AsyncIterator[None]:
    """While the server runs, sessions that nobody uses end; when it stops, all do."""
    held = app[HELD]
    sweeping = asyncio.create_task(held.sweep())
    yield
    sweeping.cancel()
    with suppress(asyncio.CancelledError):
        await sweeping
    held.close()


def routes() -> list[web.RouteDef]:
    """This room's."""
    one = "/sessions/{id}"
    return [
        web.get(wire.PATH, connect),
        web.post("/sessions", plain.open_session),
        web.get(one, plain.show),
        web.delete(one, plain.close),
        web.post(one + "/append", plain.append_to),
        web.post(one + "/generate", plain.generate),
        web.post(one + "/score", plain.score),
        web.post(one + "/fork", plain.fork),
        web.post(one + "/concat", plain.concat),
        web.post(one + "/truncate", plain.truncate),
        web.post(one + "/cancel", plain.cancel),
    ]
