"""Middleware: every request shows its key, before anything else is done for it."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler

from runtime.server.access.door import DOOR, Door
from runtime.server.access.tenant import TENANT
from runtime.server.errors import ApiError, Problem
from runtime.server.keys import CONFIG
from runtime.server.page.routes import MOUNT
from runtime.server.trail.account import ACCOUNT

__all__ = ["ADMIN_PATHS", "let_in", "prepare"]

OPEN_PATHS = frozenset({"/", "/health", "/openapi.json"})
"""What load balancers and people ask without a key, beside the page's files."""
ADMIN_PATHS = frozenset({"/flush_cache", "/server_info", "/get_server_info", "/cache", "/metrics"})
"""What concerns everybody who uses the server. `/abort_request` is open to all, for their own requests."""
METRICS = "/metrics"


@web.middleware
async def let_in(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Who has no key is told so, wherever keys are needed; so is who asks for what is none of its business."""
    path, door = _path(request), request.app[DOOR]
    if path in OPEN_PATHS or path.startswith(f"{MOUNT}/"):
        return await handler(request)
    tenant = door.tenant_of(request.headers.get("Authorization", ""))
    is_public = path == METRICS and request.app[CONFIG].open_metrics
    if tenant is None and not is_public:
        message = "a key is needed: Authorization: Bearer KEY"
        raise ApiError(Problem(401, message, code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"}))
    if tenant is None or is_public:
        return await handler(request)
    request[TENANT] = tenant
    request[ACCOUNT].key = tenant.name
    if path in ADMIN_PATHS and not tenant.is_admin:
        raise ApiError(Problem(403, f"{path} needs an admin's key", code="admin_key_needed"))
    if request.method == "GET" and "Upgrade" not in request.headers:
        return await handler(request)
    with door.counted(tenant):
        return await handler(request)


def _path(request: web.Request) -> str:
    """The route's path, however the client has written it."""
    resource = request.match_info.route.resource
    return "" if resource is None else resource.canonical


def prepare(app: web.Application) -> None:
    """Gives an application what this room keeps."""
    app[DOOR] = Door(app[CONFIG])
