"""Embeddings: `POST /v1/embeddings`, which a model that writes texts answers by saying that it makes none."""

from __future__ import annotations

from typing import NoReturn

from aiohttp import web

from runtime.server.bodies import read_model
from runtime.server.errors import bad_request
from runtime.server.keys import model_name
from runtime.server.openai.models import check_model
from runtime.server.openai.requests import EmbeddingRequest

__all__ = ["embeddings"]


async def embeddings(request: web.Request) -> NoReturn:
    """Refuses, as other servers do with models that were trained to write.

    Raises:
        ApiError: always; status 400, so that clients do not ask again.
    """
    given = await read_model(request, EmbeddingRequest)
    check_model(request.app, given.model)
    message = f"model: {model_name(request.app)!r} writes texts and makes no embeddings"
    raise bad_request("model", message, "embeddings_not_supported")
