"""Routes: the page's files. All are read at the start; nothing in a request names a file."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType

from aiohttp import web

__all__ = ["HEADERS", "MOUNT", "content_type", "routes"]

MOUNT = "/page"
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Content-Security-Policy": _POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cache-Control": "no-cache",
    }
)
_TYPES: Mapping[str, str] = MappingProxyType(
    {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
)


@dataclass(frozen=True, slots=True)
class _File:
    """One file as it is sent."""

    body: bytes
    content_type: str
    tag: str


def routes() -> list[web.RouteDef]:
    """This room's: the page, and beside it what it loads."""
    found = _files()
    others = [web.get(f"{MOUNT}/{name}", _sender(one)) for name, one in found.items() if name != "index.html"]
    return [web.get("/", _sender(found["index.html"])), *others]


def content_type(path: str) -> str:
    """The type of what is at a path of this room; nothing for what the page does not need."""
    return _TYPES.get(path[path.rfind(".") :] if "." in path else ".html", "")


def _files() -> dict[str, _File]:
    found: dict[str, _File] = {}
    for one in sorted(files("runtime.server.page").joinpath("static").iterdir(), key=lambda one: one.name):
        if kind := content_type(one.name):
            body = one.read_bytes()
            found[one.name] = _File(body, kind, f'"{hashlib.sha256(body).hexdigest()[:16]}"')
    return found


def _sender(file: _File) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def send(request: web.Request) -> web.Response:
        headers = {**HEADERS, "ETag": file.tag}
        if request.headers.get("If-None-Match") == file.tag:
            return web.Response(status=304, headers=headers)
        return web.Response(body=file.body, content_type=file.content_type, charset="utf-8", headers=headers)

    return send
