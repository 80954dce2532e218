"""ServerConfig: settings of the HTTP server."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from runtime.errors import ConfigError
from runtime.server.sessions.limits import SessionLimits

__all__ = ["ServerConfig"]

_ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://[^/\s]+")
_PREFIX = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """Settings of the server; those of the engine are in `runtime.config`.

    Args:
        host, port: where it listens; port 0 takes a free one.
        api_keys: who sends one of them as a bearer token is served; none serves everybody.
        served_model_name: what clients call the model; None for the engine's own name.
        max_body_bytes: of a request's body.
        max_requests: requests that are worked on at once; whoever comes then is told to come later.
        max_samples: prompts times `n` of one request.
        drain_seconds: for how long running requests may go on after the order to stop.
        keep_alive_seconds: after so long without a word, a stream says that it is still alive.
        header_seconds: a connection whose first request has not come by then, headers and all, is closed.
        body_seconds: for a request's body to come.
        idle_seconds: a connection without a request for so long is closed.
        admin_api_keys: who sends one of them may do what concerns everybody, and the others may not.
        api_key_file: more keys, as hashes, each with its limits (see `runtime.server.access.key_file`).
        cors_origins: sites whose pages may use the server from a browser, such as `https://example.org`; `*` for all.
        metrics_prefix: of the names of metrics.
        open_metrics: `/metrics` needs no key.
        log_json: a line of JSON is logged for every request.
        otel: a span is made for every request; needs the extra `otel`.
        sessions: how much of them one client may have.

    Raises:
        ConfigError: naming the setting, its value and what is allowed.
    """

    host: str = "127.0.0.1"
    port: int = 30000
    api_keys: tuple[str, ...] = ()
    admin_api_keys: tuple[str, ...] = ()
    api_key_file: str | None = None
    cors_origins: tuple[str, ...] = ()
    served_model_name: str | None = None
    max_body_bytes: int = 32 << 20
    max_requests: int = 4096
    max_samples: int = 128
    drain_seconds: float = 30.0
    keep_alive_seconds: float = 10.0
    header_seconds: float = 20.0
    body_seconds: float = 120.0
    idle_seconds: float = 75.0
    metrics_prefix: str = "sgdsl"
    open_metrics: bool = False
    log_json: bool = False
    otel: bool = False
    sessions: SessionLimits = field(default_factory=SessionLimits)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"port={self.port} is not allowed: a number in 0..65535")
        for name in ("max_body_bytes", "max_requests", "max_samples"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}={getattr(self, name)} is not allowed: at least 1")
        if not self.drain_seconds >= 0:
            raise ConfigError(f"drain_seconds={self.drain_seconds} is not allowed: a number of at least 0")
        for name in ("keep_alive_seconds", "header_seconds", "body_seconds", "idle_seconds"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name}={getattr(self, name)} is not allowed: a number above 0")
        self._check_access()

    def _check_access(self) -> None:
        for name in ("api_keys", "admin_api_keys"):
            if not all(getattr(self, name)):
                raise ConfigError(f"{name}: an empty key is not allowed")
        for origin in self.cors_origins:
            if not _ORIGIN.fullmatch(origin):
                raise ConfigError(f"cors_origins={origin!r} is not allowed: a scheme and a host, or *")
        if not _PREFIX.fullmatch(self.metrics_prefix):
            allowed = "letters, digits and _, beginning with a letter"
            raise ConfigError(f"metrics_prefix={self.metrics_prefix!r} is not allowed: {allowed}")
