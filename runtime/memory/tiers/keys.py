"""Page keys: what a page is known by outside the pool."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from hashlib import blake2b

from runtime.memory.node import TOKEN_BYTES

__all__ = ["fingerprint", "page_keys"]

KEY_BYTES = 32


def fingerprint(*parts: str) -> bytes:
    """32 bytes that stand for everything by which the same tokens come to have other KV.

    Args:
        parts: the weights, the shape, how they are computed.
    """
    whole = blake2b(digest_size=KEY_BYTES)
    for part in parts:
        whole.update(blake2b(part.encode(), digest_size=KEY_BYTES).digest())
    return whole.digest()


def page_keys(packed: bytes, page_size: int, namespace: str, fingerprint: bytes) -> Iterator[bytes]:
    """The key of every full page of a sequence, in order.

    A page's KV depends on all tokens before it, so its key is the hash of the key before it and of its own tokens. The
    first is hashed on the namespace, the page size and the model. A page that holds a graft's tokens has no key, nor
    has any after it: what their numbers stand for is known in this process alone.

    Args:
        packed: tokens as the tree knows them (see `runtime.memory.node.pack`).
        fingerprint: of the model.
    """
    step = page_size * TOKEN_BYTES
    start = len(fingerprint).to_bytes(4, "little") + fingerprint + page_size.to_bytes(4, "little")
    key = blake2b(start + namespace.encode(), digest_size=KEY_BYTES).digest()
    for place in range(0, len(packed) - len(packed) % step, step):
        page = packed[place : place + step]
        if min(array("i", page)) < 0:
            return
        key = blake2b(key + page, digest_size=KEY_BYTES).digest()
        yield key
