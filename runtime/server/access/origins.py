"""Origins: pages of other sites, which browsers let in only where the server says so."""

from __future__ import annotations

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from yarl import URL

from runtime.server.errors import ApiError, Problem
from runtime.server.keys import CONFIG

__all__ = ["check_origin", "prepare"]

_HARMLESS = frozenset({"GET", "HEAD"})
ALLOWED_METHODS = "GET, POST, DELETE"
ALLOWED_HEADERS = "Authorization, Content-Type, X-Request-Id, traceparent, tracestate"
SHOWN_HEADERS = "X-Request-Id, Retry-After"
MAX_AGE_SECONDS = "600"


@web.middleware
async def check_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answers browsers that ask beforehand, and refuses pages of sites that are not allowed.

    A browser sends some requests, and opens websockets, without asking: that it keeps the answer to itself does not
    help where asking alone costs something. So whatever is more than looking is refused here.
    """
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is None or _is_own(request, origin):
        return await handler(request)
    is_allowed = _is_allowed(request, origin)
    if request.method == "OPTIONS" and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers:
        if is_allowed:
            return web.Response(status=204, headers=_PREFLIGHT)
        raise _refused(origin)
    if not is_allowed and (request.method not in _HARMLESS or "Upgrade" in request.headers):
        raise _refused(origin)
    return await handler(request)


_PREFLIGHT = {
    hdrs.ACCESS_CONTROL_ALLOW_METHODS: ALLOWED_METHODS,
    hdrs.ACCESS_CONTROL_ALLOW_HEADERS: ALLOWED_HEADERS,
    hdrs.ACCESS_CONTROL_MAX_AGE: MAX_AGE_SECONDS,
}


def _refused(origin: str) -> ApiError:
    message = f"pages of {origin[:200]!r} may not use this server; --cors-origin lets them"
    return ApiError(Problem(403, message, code="origin_not_allowed"))


def _is_own(request: web.Request, origin: str) -> bool:
    """Whether the page is the server's own; TLS may end before it, so the scheme does not count."""
    try:
        return URL(origin).authority == request.host
    except ValueError:
        return False


def _is_allowed(request: web.Request, origin: str) -> bool:
    allowed = request.app[CONFIG].cors_origins
    return "*" in allowed or origin in allowed


async def _tell(request: web.Request, response: web.StreamResponse) -> None:
    """Lets the browser hand an answer on to a page that is allowed."""
    origin = request.headers.get(hdrs.ORIGIN)
    if request.app[CONFIG].cors_origins:
        response.headers.add(hdrs.VARY, hdrs.ORIGIN)
        if origin is not None and _is_allowed(request, origin):
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
            response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = SHOWN_HEADERS


def prepare(app: web.Application) -> None:
    """Has answers say which pages may read them."""
    app.on_response_prepare.append(_tell)
