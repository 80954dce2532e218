"""The file of one page: a header that says what it is, and the page's KV.

    bytes     0 ... 8 | 8 .... 12 | 12 ......... 44 | 44 .. 76 | 76 .. 84 | 84 ...
    content   magic   | checksum  | fingerprint     | key      | length   | payload

The checksum (CRC-32, little-endian as all numbers) is of everything after it. The magic ends with the format's version.
"""

from __future__ import annotations

import struct
import zlib

__all__ = ["DamagedPage", "decode", "encode", "file_size"]

MAGIC = b"sgdslKV\x01"
_HEAD = struct.Struct("<8sI")
_BODY = struct.Struct("<32s32sQ")


class DamagedPage(Exception):
    """The file does not hold the page that was asked for, whole. To the tier it is a miss; users never see it."""


def file_size(payload_bytes: int) -> int:
    """Bytes of the file of a page with that many bytes of KV."""
    return _HEAD.size + _BODY.size + payload_bytes


def encode(fingerprint: bytes, key: bytes, payload: bytes) -> bytes:
    """The file's content.

    Args:
        fingerprint, key: 32 bytes each.
        payload: keys and values of the page.
    """
    body = _BODY.pack(fingerprint, key, len(payload))
    return _HEAD.pack(MAGIC, zlib.crc32(payload, zlib.crc32(body))) + body + payload


def decode(content: bytes, fingerprint: bytes, key: bytes, payload_bytes: int) -> bytes:
    """The payload of a file that must be of this model, key and size.

    Raises:
        DamagedPage: it is not, or something in it was changed.
    """
    if len(content) != file_size(payload_bytes):
        raise DamagedPage(f"{len(content)} bytes, not {file_size(payload_bytes)}")
    magic, checksum = _HEAD.unpack_from(content)
    if magic != MAGIC:
        raise DamagedPage("no page file of this version")
    view = memoryview(content)
    if zlib.crc32(view[_HEAD.size :]) != checksum:
        raise DamagedPage("the checksum is not the content's")
    if _BODY.unpack_from(content, _HEAD.size) != (fingerprint, key, payload_bytes):
        raise DamagedPage("another model's page, or another page")
    return bytes(view[_HEAD.size + _BODY.size :])
