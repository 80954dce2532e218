"""Images: pictures as expressions. What is on this machine is read at once and travels as a `data:` URL."""

from __future__ import annotations

import base64
import binascii
import io
import os
import re
from pathlib import Path
from typing import Any

from sgdsl.errors import InvalidArgument
from sgdsl.ir import Image
from sgdsl.primitives import Expr

__all__ = ["MAX_BYTES", "image", "split_data_url"]

MAX_BYTES = 20 * 2**20
_MAGIC = (
    ("image/png", re.compile(rb"\x89PNG\r\n\x1a\n")),
    ("image/jpeg", re.compile(rb"\xff\xd8\xff")),
    ("image/gif", re.compile(rb"GIF8[79]a")),
    ("image/webp", re.compile(rb"RIFF....WEBP", re.DOTALL)),
    ("image/bmp", re.compile(rb"BM.{4}\0\0\0\0", re.DOTALL)),
)
_DATA_URL = re.compile(r"data:(image/[\w.+-]+);base64,(.*)", re.DOTALL)


def image(source: Any) -> Expr:
    """A picture, for backends whose models see.

    Args:
        source: a path, the bytes of a PNG, JPEG, GIF, WebP or BMP file of at most 20 MB, a PIL image, an http(s) URL
            (which the backend's server fetches), or a `data:` URL in base64.

    Raises:
        InvalidArgument: there is no such file, it is no picture, or it is too large.
    """
    return Expr((Image(_url(source)),))


def split_data_url(url: str) -> tuple[str, str] | None:
    """The media type and the base64 text of a `data:` URL; None where it is another URL."""
    found = _DATA_URL.fullmatch(url)
    return None if found is None else (found[1], found[2])


def _url(source: Any) -> str:
    if isinstance(source, bytes | bytearray | memoryview):
        return _data_url(bytes(source), "image: these bytes")
    if isinstance(source, str) and re.match(r"https?://", source, re.IGNORECASE):
        return source
    if isinstance(source, str) and source[:5].lower() == "data:":
        return _checked(source)
    if isinstance(source, str | os.PathLike):
        return _data_url(_read(Path(source)), f"image {str(source)!r}")
    if callable(getattr(source, "save", None)):
        return _data_url(_png(source), "image: this picture")
    kinds = "a path, bytes, a PIL image or a URL"
    raise InvalidArgument(f"image: {type(source).__name__} {source!r:.60} is not allowed: {kinds}")


def _read(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        _check_size(size, f"image {str(path)!r}")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, InvalidArgument):
            raise
        reason = getattr(error, "strerror", None) or error
        raise InvalidArgument(f"image {str(path)[:200]!r} cannot be read: {reason}") from error


def _png(picture: Any) -> bytes:
    buffer = io.BytesIO()
    try:
        picture.save(buffer, format="PNG")
    except Exception as error:  # whatever the picture's library raises
        raise InvalidArgument(f"image: {picture!r:.60} cannot be saved as PNG: {error}") from error
    return buffer.getvalue()


def _checked(url: str) -> str:
    """A `data:` URL whose content is looked at, as that of a file would be."""
    parts = split_data_url(url)
    if parts is None:
        raise InvalidArgument(f"image {url[:60]!r} is not allowed: data:image/…;base64,…")
    try:
        content = base64.b64decode(parts[1], validate=True)
    except binascii.Error as error:
        raise InvalidArgument(f"image {url[:60]!r} is not base64: {error}") from error
    return _data_url(content, f"image {url[:60]!r}")


def _data_url(content: bytes, what: str) -> str:
    _check_size(len(content), what)
    media_type = next((name for name, magic in _MAGIC if magic.match(content)), None)
    if media_type is None:
        known = ", ".join(name.removeprefix("image/") for name, _ in _MAGIC)
        raise InvalidArgument(f"{what} is no picture of a known kind ({known}): it begins with {content[:8]!r}")
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def _check_size(num_bytes: int, what: str) -> None:
    if num_bytes > MAX_BYTES:
        raise InvalidArgument(f"{what} has {num_bytes / 2**20:.1f} MB, at most {MAX_BYTES // 2**20} are allowed")
