"""Keys: how handlers reach what the server is made of, `request.app[ENGINE]`."""

from __future__ import annotations

from aiohttp import web

from runtime.server.config import ServerConfig
from runtime.server.field_notes import FieldNotes
from runtime.server.running import Running
from runtime.server.served_engine import ServedEngine

__all__ = ["CONFIG", "ENGINE", "FIELD_NOTES", "RUNNING", "STARTED", "UP_SINCE", "model_name"]

ENGINE: web.AppKey[ServedEngine] = web.AppKey("engine", ServedEngine)
CONFIG: web.AppKey[ServerConfig] = web.AppKey("config", ServerConfig)
RUNNING: web.AppKey[Running] = web.AppKey("running", Running)
FIELD_NOTES: web.AppKey[FieldNotes] = web.AppKey("field_notes", FieldNotes)
STARTED: web.AppKey[float] = web.AppKey("started", float)
"""When the server came up, in seconds since 1970; for people: that clock may jump."""
UP_SINCE: web.AppKey[float] = web.AppKey("up_since", float)
"""The same on a clock that only goes forward."""


def model_name(app: web.Application) -> str:
    """What clients call the model."""
    return app[CONFIG].served_model_name or app[ENGINE].model_name
