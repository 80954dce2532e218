"""Logs: what the packages say of themselves, on stderr."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from typing_extensions import override

__all__ = ["set_up"]

LOGGERS = ("sgdsl", "runtime", "grammars")
ACCESS = "sgdsl.access"
"""Whose messages are lines of JSON already, one a request, where they are asked for."""


class _JsonLines(logging.Formatter):
    """Every record as one line of JSON."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        if record.name == ACCESS:
            return record.getMessage()
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def set_up(*, verbose: bool, quiet: bool, as_json: bool = False) -> None:
    """Warnings and errors are shown; with `verbose` everything, with `quiet` only errors.

    Args:
        as_json: a line of JSON each, and those of requests too.
    """
    level = logging.INFO if verbose else logging.ERROR if quiet else logging.WARNING
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonLines() if as_json else logging.Formatter("%(name)s: %(message)s"))
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False
    logging.getLogger(ACCESS).setLevel(logging.INFO if as_json else logging.NOTSET)
