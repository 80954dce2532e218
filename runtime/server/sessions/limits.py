"""SessionLimits: how much one client can have the server keep."""

from __future__ import annotations

from dataclasses import dataclass, fields

from runtime.errors import ConfigError

__all__ = ["SessionLimits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLimits:
    """Bounds on sessions; whoever goes beyond is refused.

    Args:
        max_sessions: of one connection.
        max_waiting_ops: operations of one connection that wait for others.
        max_waiting_bytes: what those hold, about.
        max_outbox_bytes: answers that a client has not taken yet. Above a quarter of it nothing more is read from that
            client; above all of it the connection ends.
        stall_seconds: a client that takes nothing of its answers for so long has gone.
        heartbeat_seconds: of silence before a client is asked for a sign of life; it has half as many to give one.
        max_http_sessions: sessions held by plain HTTP, of all clients together.
        idle_seconds: a session held by plain HTTP ends when nobody has used it for so long.

    Raises:
        ConfigError: one of them is not above 0.
    """

    max_sessions: int = 4096
    max_waiting_ops: int = 65536
    max_waiting_bytes: int = 64 << 20
    max_outbox_bytes: int = 64 << 20
    stall_seconds: float = 60.0
    heartbeat_seconds: float = 20.0
    max_http_sessions: int = 1024
    idle_seconds: float = 300.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise ConfigError(f"{field.name}={value!r} is not allowed: a number above 0")
