"""The application: every room's routes over one engine."""

from __future__ import annotations

import time

from aiohttp import web

from runtime.server import health
from runtime.server.access import middleware as access
from runtime.server.access import origins
from runtime.server.config import ServerConfig
from runtime.server.connections import CONNECTIONS, Connections
from runtime.server.field_notes import FieldNotes
from runtime.server.guard import tell_errors
from runtime.server.keys import CONFIG, ENGINE, FIELD_NOTES, RUNNING, STARTED, UP_SINCE
from runtime.server.metrics import routes as metrics
from runtime.server.native import routes as native
from runtime.server.openai.responses.store import RESPONSES, ResponseStore
from runtime.server.openai.routes import routes as openai_routes
from runtime.server.openapi.routes import routes as openapi_routes
from runtime.server.page.routes import routes as page_routes
from runtime.server.programs import routes as program_routes
from runtime.server.programs.runner import ProgramRunner
from runtime.server.running import Running
from runtime.server.served_engine import ServedEngine
from runtime.server.sessions import routes as sessions
from runtime.server.trail import follow as trail

__all__ = ["make_app"]


def make_app(
    engine: ServedEngine, config: ServerConfig | None = None, programs: ProgramRunner | None = None
) -> web.Application:
    """The server as an aiohttp application. Whoever runs it must ask for `handler_cancellation=True`.

    Args:
        engine: serves all requests; stays its owner's.
        config: settings.
        programs: runs graphs; without one, there is no `/programs`.
    """
    config = config or ServerConfig()
    middlewares = [trail.follow, tell_errors, origins.check_origin, access.let_in]
    app = web.Application(middlewares=middlewares, client_max_size=config.max_body_bytes)
    app[ENGINE] = engine
    app[CONFIG] = config
    app[RUNNING] = Running(config.max_requests)
    app[FIELD_NOTES] = FieldNotes()
    app[RESPONSES] = ResponseStore()
    app[CONNECTIONS] = Connections(config.header_seconds, config.idle_seconds)
    app[STARTED] = time.time()
    app[UP_SINCE] = time.monotonic()
    for prepare in (trail.prepare, origins.prepare, access.prepare, metrics.prepare):
        prepare(app)
    sessions.prepare(app)
    native.prepare(app)
    program_routes.prepare(app, programs)
    for room in (health, metrics, sessions, native, program_routes):
        app.add_routes(room.routes())
    for routes in (openai_routes, openapi_routes, page_routes):
        app.add_routes(routes())
    return app
