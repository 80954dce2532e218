"""Fingerprint: what tells a backend and its model from any other, for answers that are kept."""

from __future__ import annotations

from sgdsl.backends.base import Backend

__all__ = ["fingerprint_of"]

_TOLD_BY = ("url", "base_url", "model")


def fingerprint_of(backend: Backend) -> str:
    """The backend's own `fingerprint`, or its name with whatever it says of its server and its model."""
    own = getattr(backend, "fingerprint", None)
    if isinstance(own, str) and own:
        return own
    told = [getattr(backend, name, None) for name in _TOLD_BY]
    return " ".join([backend.name, *(one for one in told if isinstance(one, str))])
