"""LogLine: one line of JSON for each request, without what users wrote or models answered."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import msgspec

from runtime.server.trail.account import Account

__all__ = ["write_line"]

log = logging.getLogger("sgdsl.access")


def write_line(account: Account, method: str, path: str, status: int, seconds: float) -> None:
    """Writes what became of a request; the logger is `sgdsl.access`, the level INFO, the message the JSON.

    Args:
        path: the route's, in which no names of the client's stand.
    """
    line = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "id": account.id,
        "key": account.key or None,
        "method": method,
        "path": path,
        "status": status,
        "prompt_tokens": account.prompt_tokens,
        "cached_tokens": account.cached_tokens,
        "completion_tokens": account.completion_tokens,
        "finish_reasons": account.finish_reasons,
        "ms": round(seconds * 1000, 3),
    }
    log.info("%s", msgspec.json.encode(line).decode())
