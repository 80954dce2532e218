"""OpenFiles: how many clients the number of files lets in that this process may have open."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from runtime.errors import ConfigError

__all__ = ["OpenFiles"]

RESERVE = 64
"""For what is no client's: the engine's sockets, logs, the model's files."""
LEAST = 2 * RESERVE
MOST_AT_ONCE = 1024


@dataclass(frozen=True, slots=True)
class OpenFiles:
    """The limit, RLIMIT_NOFILE, and what follows from it.

    Args:
        limit: files at once; None where there is no limit, or nobody knows.

    Raises:
        ConfigError: it is too low for any server.
    """

    limit: int | None

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < LEAST:
            raise ConfigError(f"RLIMIT_NOFILE={self.limit} is not enough: a server needs at least {LEAST} (ulimit -n)")

    @classmethod
    def raised(cls) -> OpenFiles:
        """What this process has once the soft limit is raised to the hard one."""
        if sys.platform == "win32":
            return cls(None)
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != hard:
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
                soft = hard
            except (OSError, ValueError):  # a hard limit that the system itself does not keep, as on macOS
                pass
        return cls(None if soft == resource.RLIM_INFINITY else soft)

    @property
    def at_once(self) -> int:
        """Connections that are taken in one go."""
        return MOST_AT_ONCE if self.limit is None else max(1, min(MOST_AT_ONCE, self.limit // 8))

    @property
    def num_clients(self) -> int | None:
        """Connections that are let in. Two goes of others may be there before it is known of the first who they are."""
        return None if self.limit is None else max(1, self.limit - RESERVE - 2 * self.at_once)

    def shortage(self, max_requests: int) -> str | None:
        """What to tell of a limit that lets fewer clients in than would be served; None where it suffices."""
        most = self.num_clients
        if most is None or most >= max_requests:
            return None
        needed = max_requests + RESERVE + 2 * MOST_AT_ONCE
        return (
            f"RLIMIT_NOFILE={self.limit} lets {most} clients connect at once, fewer than max_requests={max_requests}; "
            f"{needed} would suffice (ulimit -n, LimitNOFILE= of systemd)"
        )
