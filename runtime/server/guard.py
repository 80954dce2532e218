"""Guard: whatever goes wrong becomes an answer."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler

from runtime.server.connections import CONNECTIONS
from runtime.server.errors import CLIENT_CLOSED, response_of
from runtime.server.keys import CONFIG, RUNNING

__all__ = ["tell_errors"]


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
        return response_of(request.app[RUNNING].told(error))
