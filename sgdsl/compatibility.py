"""Compatibility: names at the top level that programs written for SGLang use."""

from __future__ import annotations

from typing import Any, NoReturn

from sgdsl.errors import NotSupported
from sgdsl.process import as_backend, present_backend

__all__ = ["flush_cache", "get_server_info", "video"]


def flush_cache(backend: Any = None) -> bool:
    """Empties the prefix cache of a backend, the default one unless given; returns whether there was one to empty."""
    flush = getattr(_backend(backend), "flush_cache", None)
    if flush is None:
        return False
    flush()
    return True


def get_server_info(backend: Any = None) -> dict[str, Any] | None:
    """What a backend, the default one unless given, says of itself; None where there is nothing to say."""
    tell = getattr(_backend(backend), "get_server_info", None)
    return None if tell is None else dict(tell())


def video(path: str, num_frames: int) -> NoReturn:
    """Frames of a video, which no backend here takes.

    Raises:
        NotSupported: always.
    """
    raise NotSupported(f"video({path!r}, {num_frames}): no backend takes videos; append the frames as images")


def _backend(backend: Any) -> Any:
    return present_backend() if backend is None else as_backend(backend)
