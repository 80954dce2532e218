"""Compiling numba kernels with an explicit signature, kept on disk where there is room for it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numba

from grammars.machine.first_compilation import announced

__all__ = ["compile_cached", "compile_part"]

_LOG = logging.getLogger(__name__)


def compile_cached(function: Callable[..., Any], signature: Any) -> Callable[..., Any]:
    """Compiles `function` for one signature; later processes find the result beside the source or in the user's cache.

    Where neither folder can be written, it is compiled anew in every process, and that is logged.
    """
    compiler: Any = numba.njit
    options = {"nogil": True, "boundscheck": False}
    result: Callable[..., Any] = _compiled(
        lambda cache: compiler([signature], cache=cache, **options)(function), function
    )
    return result


def compile_part(function: Callable[..., Any], signature: Any) -> Any:
    """Compiles `function`, which must not raise, as `compile_cached` does, to a C function.

    Returns:
        What has its `address`, which is good as long as this lives.
    """
    compiler: Any = numba.cfunc
    return _compiled(lambda cache: compiler(signature, cache=cache)(function), function)


def _compiled(compile_with: Callable[[bool], Any], function: Callable[..., Any]) -> Any:
    try:
        with announced():
            return compile_with(True)
    except RuntimeError as error:
        if "locator" not in str(error):
            raise
        _LOG.warning("kernel %s is compiled at every start: %s", function.__name__, error)
        return compile_with(False)
