"""Models: which there are. There is one."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from runtime.server.bodies import answer
from runtime.server.errors import ApiError, Problem
from runtime.server.keys import ENGINE, STARTED, model_name

__all__ = ["check_model", "list_models", "show_model"]


async def list_models(request: web.Request) -> web.Response:
    """`GET /v1/models`."""
    return answer({"object": "list", "data": [_card(request.app)]})


async def show_model(request: web.Request) -> web.Response:
    """`GET /v1/models/{id}`."""
    check_model(request.app, request.match_info["name"])
    return answer(_card(request.app))


def check_model(app: web.Application, asked: str | None) -> None:
    """Whether the model that a request names is the one that is here; no name, or `default`, is.

    Raises:
        ApiError: it is another one.
    """
    if asked in (None, "", "default", model_name(app), app[ENGINE].model_name):
        return
    message = f"model: there is no {asked!r} here; this server has {model_name(app)!r}"
    raise ApiError(Problem(404, message, "model", "model_not_found"))


def _card(app: web.Application) -> dict[str, Any]:
    return {
        "id": model_name(app),
        "object": "model",
        "created": int(app[STARTED]),
        "owned_by": "sgdsl",
        "max_model_len": app[ENGINE].context_length,
    }
