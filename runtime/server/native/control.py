"""Control: `/flush_cache` and `/abort_request`."""

from __future__ import annotations

from aiohttp import web
from pydantic import StrictBool, StrictStr

from runtime.server.access.tenant import TENANT
from runtime.server.bodies import answer, read_model
from runtime.server.errors import bad_request
from runtime.server.keys import ENGINE, RUNNING
from runtime.server.native.requests import Body

__all__ = ["abort_request", "flush_cache"]


class AbortBody(Body):
    """`POST /abort_request`."""

    rid: StrictStr = ""
    abort_all: StrictBool = False


async def flush_cache(request: web.Request) -> web.Response:
    """Forgets every prefix that nothing running needs; says how many tokens that were."""
    return answer({"success": True, "flushed_tokens": await request.app[ENGINE].flush_cache()})


async def abort_request(request: web.Request) -> web.Response:
    """Cancels the requests of a name, or all; says how many that were. An admin's word holds for everybody's."""
    body = await read_model(request, AbortBody)
    if not body.rid and not body.abort_all:
        raise bad_request("rid", "rid: the name of a request is needed, or abort_all")
    tenant = request[TENANT]
    owner = None if tenant.is_admin else tenant.name
    cancelled = request.app[RUNNING].cancel(None if body.abort_all else body.rid, owner)
    return answer({"success": True, "aborted": cancelled})
