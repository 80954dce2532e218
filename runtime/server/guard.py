"""Guard: what every request passes on its way in and out."""

from __future__ import annotations

import hashlib
import hmac

from aiohttp import web
from aiohttp.typedefs import Handler

from runtime.server.connections import CONNECTIONS
from runtime.server.errors import CLIENT_CLOSED, ApiError, Problem, problem_of, response_of
from runtime.server.keys import CONFIG
from runtime.server.page.routes import MOUNT

__all__ = ["check_key", "tell_errors"]

OPEN_PATHS = frozenset({"/", "/health", "/openapi.json"})
"""What load balancers and people ask without a key; it says nothing of who else is served."""


@web.middleware
async def tell_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Whatever a handler raises becomes an answer in OpenAI's shape."""
    most = request.app[CONFIG].max_body_bytes
    try:
        if (request.content_length or 0) > most:
            raise web.HTTPRequestEntityTooLarge(most, request.content_length or 0)
        with request.app[CONNECTIONS].busy(request.protocol):
            return await handler(request)
    except ConnectionError:  # the client has gone: nobody is there to be told
        return web.Response(status=CLIENT_CLOSED)
    except Exception as error:
        return response_of(problem_of(error))


@web.middleware
async def check_key(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Who has no key is told so, wherever keys are needed."""
    keys = request.app[CONFIG].api_keys
    is_open = request.path in OPEN_PATHS or request.path.startswith(f"{MOUNT}/")
    if keys and not is_open and not _is_known(request.headers.get("Authorization", ""), keys):
        message = "a key is needed: Authorization: Bearer KEY"
        raise ApiError(Problem(401, message, code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"}))
    return await handler(request)


def _is_known(header: str, keys: tuple[str, ...]) -> bool:
    """Compares with all keys, and in the same time whatever is given."""
    scheme, _, given = header.partition(" ")
    own = _digest(given.strip())
    matches = [hmac.compare_digest(own, _digest(key)) for key in keys]
    return any(matches) and scheme.lower() == "bearer"


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
