"""Cache: `GET /cache`: what is in the prefix tree, and who holds it."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from runtime.server.bodies import answer
from runtime.server.errors import bad_request
from runtime.server.keys import ENGINE

__all__ = ["cache"]

MOST_NODES = 1000
MOST_CHARACTERS = 200


async def cache(request: web.Request) -> web.Response:
    """Nodes of the tree, the last used first: their text, tokens, locks and namespace.

    Query: `limit` nodes, of each of which `characters` of text are shown; `namespace` for one namespace's alone.
    """
    limit = _number(request, "limit", 100, MOST_NODES)
    characters = _number(request, "characters", 80, MOST_CHARACTERS)
    engine = request.app[ENGINE]
    found: dict[str, Any] = await engine.cache(limit, request.query.get("namespace"))
    tokenizer = engine.tokenizer
    for node in found["nodes"]:
        ids = node.pop("token_ids")
        text = tokenizer.decode(ids[: characters + 1], skip_special_tokens=False)
        node["text"] = text if len(text) <= characters else text[:characters] + "…"
    return answer(found)


def _number(request: web.Request, name: str, default: int, most: int) -> int:
    given = request.query.get(name, str(default))
    if not given.isascii() or not given.isdigit() or not 1 <= int(given[:9]) <= most:
        raise bad_request(name, f"{name}={given[:40]} is not allowed: a number in 1..{most}")
    return int(given)
