"""Door: which tenant a key is, and how many requests each has in work."""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiohttp import web

from runtime.server.access.key_file import hash_of, read_keys
from runtime.server.access.tenant import EVERYBODY, Tenant
from runtime.server.config import ServerConfig
from runtime.server.errors import ApiError, Problem

__all__ = ["DOOR", "Door"]


class Door:
    """Lives on the event loop. Keys are compared as hashes, with all there are and in the same time whatever is given.

    Args:
        config: its `api_keys` may do everything, unless there are `admin_api_keys` or an `api_key_file`.

    Raises:
        ConfigError: the file is none.
    """

    def __init__(self, config: ServerConfig) -> None:
        entries = [] if config.api_key_file is None else read_keys(Path(config.api_key_file))
        has_admins = bool(config.admin_api_keys) or config.api_key_file is not None
        shared = None if config.api_key_file is None else ""
        admin = Tenant(name="admin", namespace=shared, is_admin=True)
        plain = Tenant(name="api-key", namespace=shared, is_admin=not has_admins)
        self._tenants = [
            *((hash_of(key), admin) for key in config.admin_api_keys),
            *((hash_of(key), plain) for key in config.api_keys),
            *((entry.hash, entry.tenant()) for entry in entries),
        ]
        self._anybody: Tenant | None = None
        if not config.api_keys and config.api_key_file is None:
            self._anybody = Tenant() if config.admin_api_keys else EVERYBODY
        self._in_work: Counter[Tenant] = Counter()

    def tenant_of(self, authorization: str) -> Tenant | None:
        """Who sends this header; None for nobody that is known."""
        scheme, _, given = authorization.partition(" ")
        own = hash_of(given.strip())
        found: Tenant | None = None
        for known, tenant in self._tenants:
            if hmac.compare_digest(own, known) and found is None:
                found = tenant
        return found if found is not None and scheme.lower() == "bearer" else self._anybody

    @contextmanager
    def counted(self, tenant: Tenant) -> Iterator[None]:
        """Counts a request of a tenant while the block runs.

        Raises:
            ApiError: it has as many as it may (429).
        """
        most = tenant.max_concurrent
        if most is not None and self._in_work[tenant] >= most:
            message = f"max_concurrent={most} requests of this key are in work; try again later"
            raise ApiError(Problem(429, message, code="too_many_requests", headers={"Retry-After": "1"}))
        self._in_work[tenant] += 1
        try:
            yield
        finally:
            self._in_work[tenant] -= 1


DOOR: web.AppKey[Door] = web.AppKey("door", Door)
