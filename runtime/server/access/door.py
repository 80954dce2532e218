"""Door: which tenant a key is, and how many requests each has in work."""

from __future__ import annotations

import hmac
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from aiohttp import web

from runtime.server.access.key_file import hash_of
from runtime.server.access.tenant import EVERYBODY, Tenant
from runtime.server.access.watched_keys import WatchedKeys
from runtime.server.config import ServerConfig
from runtime.server.errors import ApiError, Problem

__all__ = ["DOOR", "Door"]


class Door:
    """Lives on the event loop. Keys are compared as hashes, with all there are and in the same time whatever is given.

    A file of keys may change while the server runs: keys come and go within a second of somebody asking.

    Args:
        config: its `api_keys` may do everything, unless there are `admin_api_keys` or an `api_key_file`.
        clock: as of `WatchedKeys`.

    Attributes:
        version: rises when keys have changed.

    Raises:
        ConfigError: the file is none.
    """

    def __init__(self, config: ServerConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self.version = 0
        path = config.api_key_file
        self._watched = None if path is None else WatchedKeys(Path(path), clock)
        has_admins = bool(config.admin_api_keys) or config.api_key_file is not None
        shared = None if config.api_key_file is None else ""
        admin = Tenant(name="admin", namespace=shared, is_admin=True)
        plain = Tenant(name="api-key", namespace=shared, is_admin=not has_admins)
        self._fixed = [
            *((hash_of(key), admin) for key in config.admin_api_keys),
            *((hash_of(key), plain) for key in config.api_keys),
        ]
        self._tenants = [*self._fixed, *self._in_file()]
        self._anybody: Tenant | None = None
        if not config.api_keys and config.api_key_file is None:
            self._anybody = Tenant() if config.admin_api_keys else EVERYBODY
        self._in_work: Counter[tuple[str, str | None]] = Counter()

    def _in_file(self) -> list[tuple[str, Tenant]]:
        return [] if self._watched is None else [(entry.hash, entry.tenant()) for entry in self._watched.entries]

    def refresh(self) -> None:
        """Looks whether keys have changed; costs next to nothing."""
        if self._watched is not None and self._watched.has_changed():
            self._tenants = [*self._fixed, *self._in_file()]
            self.version += 1

    def tenant_of(self, authorization: str) -> Tenant | None:
        """Who sends this header; None for nobody that is known."""
        self.refresh()
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
        who = (tenant.name, tenant.namespace)  # what else a key stands for may change meanwhile
        if most is not None and self._in_work[who] >= most:
            message = f"max_concurrent={most} requests of this key are in work; try again later"
            raise ApiError(Problem(429, message, code="too_many_requests", headers={"Retry-After": "1"}))
        self._in_work[who] += 1
        try:
            yield
        finally:
            self._in_work[who] -= 1
            if not self._in_work[who]:
                del self._in_work[who]


DOOR: web.AppKey[Door] = web.AppKey("door", Door)
