"""Follow: the outermost middleware, which sees every request come and go."""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import nullcontext
from uuid import uuid4

from aiohttp import web
from aiohttp.typedefs import Handler

from runtime.server.errors import CLIENT_CLOSED
from runtime.server.keys import CONFIG, model_name
from runtime.server.metrics.routes import HTTP_METRICS
from runtime.server.trail.account import ACCOUNT, Account
from runtime.server.trail.log_line import write_line
from runtime.server.trail.spans import SPANS, Spans

__all__ = ["follow", "prepare", "tell_id"]

REQUEST_ID = "X-Request-Id"
_ID = re.compile(r"[\x21-\x7e]{1,128}")


@web.middleware
async def follow(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Gives a request its id, and tells how it ended: to the metrics, the log and the trace, as far as they are on."""
    given = request.headers.get(REQUEST_ID, "")
    account = request[ACCOUNT] = Account(given if _ID.fullmatch(given) else uuid4().hex)
    metrics = request.app[HTTP_METRICS]
    path = _route(request)
    status, begun = 500, time.perf_counter()
    metrics.began()
    spans = request.app.get(SPANS)
    try:
        with nullcontext() if spans is None else spans.around(request, path) as span:
            try:
                response = await handler(request)
                status = response.status
                return response
            except asyncio.CancelledError:
                status = CLIENT_CLOSED
                raise
            finally:
                if span is not None:
                    span.ended(account, status)
    finally:
        seconds = time.perf_counter() - begun
        metrics.ended(path, status, seconds)
        if request.app[CONFIG].log_json:
            write_line(account, request.method, path, status, seconds)


def _route(request: web.Request) -> str:
    """The path as the route has it, such as `/v1/responses/{name}`."""
    resource = request.match_info.route.resource
    return "unknown" if resource is None else resource.canonical


async def tell_id(request: web.Request, response: web.StreamResponse) -> None:
    """Every answer says which request it is of."""
    account = request.get(ACCOUNT)
    if account is not None:
        response.headers[REQUEST_ID] = account.id


def prepare(app: web.Application) -> None:
    """Has answers tell their requests' ids, and spans made where they are wanted."""
    if app[CONFIG].otel:
        app[SPANS] = Spans(model_name(app))
    app.on_response_prepare.append(tell_id)
