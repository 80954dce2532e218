"""Routes: OpenAI's endpoints by path."""

from __future__ import annotations

from aiohttp import web

from runtime.server.openai.chat import chat_completions
from runtime.server.openai.completions import completions
from runtime.server.openai.embeddings import embeddings
from runtime.server.openai.models import list_models, show_model
from runtime.server.openai.responses import handlers as responses

__all__ = ["routes"]


def routes() -> list[web.RouteDef]:
    """This room's."""
    return [
        web.get("/v1/models", list_models),
        web.get("/v1/models/{name:.+}", show_model),
        web.post("/v1/chat/completions", chat_completions),
        web.post("/v1/completions", completions),
        web.post("/v1/embeddings", embeddings),
        web.post("/v1/responses", responses.create),
        web.get("/v1/responses/{name}", responses.retrieve),
        web.delete("/v1/responses/{name}", responses.delete),
    ]
