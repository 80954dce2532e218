"""Client packages: imported by the backends that need them, and named where they are missing."""

from __future__ import annotations

import importlib
from typing import Any

from sgdsl.errors import NotSupported

__all__ = ["client_package"]


def client_package(name: str, extra: str) -> Any:
    """The package `name`.

    Raises:
        NotSupported: it is not installed; says how to have it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise NotSupported(f"the package {name} cannot be imported ({error}): pip install 'sgdsl[{extra}]'") from error
