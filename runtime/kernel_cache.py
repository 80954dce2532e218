"""Compiling numba kernels with an explicit signature, kept on disk where there is room for it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numba

# Loaded before numba starts its threads, so that both share one OpenMP pool instead of competing for the cores.
import torch  # noqa: F401

from grammars.machine.first_compilation import announced

__all__ = ["compile_cached"]

_LOG = logging.getLogger(__name__)


def compile_cached(function: Callable[..., Any], signature: Any, *, parallel: bool = False) -> Callable[..., Any]:
    """Compiles `function` for one signature; later processes find the result beside the source or in the user's cache.

    Where neither folder can be written, it is compiled anew in every process, and that is logged.
    """
    compiler: Any = numba.njit
    options: dict[str, Any] = {"parallel": parallel, "nogil": True, "boundscheck": False}
    try:
        with announced():
            cached: Callable[..., Any] = compiler([signature], cache=True, **options)(function)
        return cached
    except RuntimeError as error:
        if "locator" not in str(error):
            raise
        _LOG.warning("kernel %s is compiled at every start: %s", function.__name__, error)
        fresh: Callable[..., Any] = compiler([signature], **options)(function)
        return fresh
