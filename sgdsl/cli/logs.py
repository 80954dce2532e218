"""Logs: what the packages say of themselves, on stderr."""

from __future__ import annotations

import logging

__all__ = ["set_up"]

LOGGERS = ("sgdsl", "runtime", "grammars")


def set_up(*, verbose: bool, quiet: bool) -> None:
    """Warnings and errors are shown; with `verbose` everything, with `quiet` only errors."""
    level = logging.INFO if verbose else logging.ERROR if quiet else logging.WARNING
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False
