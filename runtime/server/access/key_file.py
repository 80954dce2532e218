"""KeyFile: API keys in a file that holds no key, only their hashes."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import tempfile
from pathlib import Path

import msgspec

from runtime.errors import ConfigError
from runtime.server.access.tenant import Tenant

__all__ = ["KeyEntry", "add_key", "hash_of", "read_keys", "remove_key"]

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_HASH = re.compile(r"sha256:[0-9a-f]{64}")
KEY_BYTES = 32
"""Random ones, so that nobody can try them all and a plain hash is as good as a slow one."""


class KeyEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One key.

    Attributes:
        name: whose it is; 1 to 64 letters, digits, `_`, `.` and `-`.
        hash: `sha256:` and the key's SHA-256 in hexadecimal.
        namespace: whose cache it uses, in the same letters; None for one under its own name.
        max_concurrent: requests at once; None for no limit of its own.
        may_share: it uses the cache that all such keys share, and no namespace.
        is_admin: it may do what concerns others too.
    """

    name: str
    hash: str
    namespace: str | None = None
    max_concurrent: int | None = None
    may_share: bool = False
    is_admin: bool = False

    def tenant(self) -> Tenant:
        """Who comes with this key."""
        namespace = "" if self.may_share else self.namespace or self.name
        return Tenant(
            name=self.name, namespace=namespace, max_concurrent=self.max_concurrent, is_admin=self.is_admin
        )  # fmt: skip


def hash_of(key: str) -> str:
    """A key as files hold it."""
    return "sha256:" + hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def read_keys(path: Path) -> list[KeyEntry]:
    """The keys of a file: a JSON list of objects.

    Raises:
        ConfigError: it cannot be read, or holds something else; the entry and the field are named.
    """
    try:
        entries = msgspec.json.decode(path.read_bytes(), type=list[KeyEntry])
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(f"api_key_file={str(path)!r}: {error}") from error
    seen: set[str] = set()
    for place, entry in enumerate(entries):
        try:
            _check(entry)
            if entry.name in seen:
                raise ConfigError(f"name={entry.name!r} is there twice")
        except ConfigError as error:
            raise ConfigError(f"api_key_file={str(path)!r}: entry {place}: {error}") from None
        seen.add(entry.name)
    return entries


def _check(entry: KeyEntry) -> None:
    allowed = "1 to 64 letters, digits, _, . and -"
    if not _NAME.fullmatch(entry.name):
        raise ConfigError(f"name={entry.name!r} is not allowed: {allowed}")
    if not _HASH.fullmatch(entry.hash):
        raise ConfigError("hash is not allowed: sha256: and 64 hexadecimal digits")
    if entry.namespace is not None and not _NAME.fullmatch(entry.namespace):
        raise ConfigError(f"namespace={entry.namespace!r} is not allowed: {allowed}")
    if entry.namespace is not None and entry.may_share:
        raise ConfigError(f"namespace={entry.namespace!r} and may_share are given together: one is allowed")
    if entry.max_concurrent is not None and entry.max_concurrent < 1:
        raise ConfigError(f"max_concurrent={entry.max_concurrent} is not allowed: at least 1")


def add_key(
    path: Path,
    name: str,
    *,
    namespace: str | None = None,
    max_concurrent: int | None = None,
    may_share: bool = False,
    is_admin: bool = False,
) -> str:
    """Makes a key and adds its hash to a file, which is made where there is none; only its owner can read it.

    Returns:
        The key. It is nowhere else.

    Raises:
        ConfigError: the name is taken, a value is not allowed, or the file cannot be read or written.
    """
    entries = read_keys(path) if path.exists() else []
    if any(entry.name == name for entry in entries):
        raise ConfigError(f"name={name!r} is taken in {str(path)!r}")
    key = f"sgdsl-{secrets.token_urlsafe(KEY_BYTES)}"
    entry = KeyEntry(
        name=name,
        hash=hash_of(key),
        namespace=namespace,
        max_concurrent=max_concurrent,
        may_share=may_share,
        is_admin=is_admin,
    )
    _check(entry)
    _write(path, [*entries, entry])
    return key


def remove_key(path: Path, name: str) -> None:
    """Takes a key out of a file. A server that has read it refuses the key within a second or so.

    Raises:
        ConfigError: there is no such key, or the file cannot be read or written.
    """
    entries = read_keys(path)
    kept = [entry for entry in entries if entry.name != name]
    if len(kept) == len(entries):
        raise ConfigError(f"name={name!r} is not in {str(path)!r}")
    _write(path, kept)


def _write(path: Path, entries: list[KeyEntry]) -> None:
    """All of it or nothing: a server may be reading."""
    text = msgspec.json.format(msgspec.json.encode(entries), indent=2)
    try:
        number, other = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        try:
            with os.fdopen(number, "wb") as file:
                file.write(text + b"\n")
            os.replace(other, path)
        except BaseException:
            os.unlink(other)
            raise
    except OSError as error:
        raise ConfigError(f"api_key_file={str(path)!r} cannot be written: {error.strerror or error}") from error
