"""PeerLog: what aiohttp says of connections, in the server's own log and without a traceback for a peer's faults."""

from __future__ import annotations

import logging
from typing import Any

from aiohttp.http_exceptions import HttpProcessingError
from typing_extensions import override

__all__ = ["PeerLog"]


class PeerLog(logging.LoggerAdapter[logging.Logger]):
    """Stands for a logger. Whoever speaks no HTTP is told of it, and would else fill the log."""

    @override
    def exception(self, msg: object, *args: object, exc_info: Any = True, **more: Any) -> None:
        """As of a logger; one line, and no more than "info", where the peer's bytes were at fault."""
        if isinstance(exc_info, HttpProcessingError):
            self.info("a peer does not speak HTTP: %s", " ".join(exc_info.message.split())[:200])
        else:
            super().exception(msg, *args, exc_info=exc_info, **more)
