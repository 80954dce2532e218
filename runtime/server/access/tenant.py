"""Tenant: who a request comes from, as far as its API key says."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

__all__ = ["EVERYBODY", "TENANT", "Tenant", "namespace_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """What a key stands for.

    Attributes:
        name: for logs and messages.
        namespace: whose cache is used; empty for the one that is shared by all who may share; None where the server
            has no tenants to keep apart.
        max_concurrent: requests at once; None for as many as the server takes.
        is_admin: may do what concerns others too.
    """

    name: str = ""
    namespace: str | None = None
    max_concurrent: int | None = None
    is_admin: bool = False

    def cache_namespace(self, salt: str) -> str:
        """The engine's namespace for a request's `cache_salt`; no two tenants ever have the same, whatever the salts.

        A tenant's own begins with its namespace and a slash, which no namespace holds; the shared ones begin with the
        slash.
        """
        if self.namespace is None:
            return salt
        if self.namespace:
            return f"{self.namespace}/{salt}"
        return f"/{salt}" if salt else ""


EVERYBODY = Tenant(is_admin=True)
"""Of a server that asks for no key."""

TENANT: web.RequestKey[Tenant] = web.RequestKey("tenant", Tenant)


def namespace_of(request: web.Request, salt: str | None) -> str:
    """The engine's namespace for what a request calls its `cache_salt`."""
    return request[TENANT].cache_namespace(salt or "")
