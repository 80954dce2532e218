from __future__ import annotations

import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest

from runtime.errors import ConfigError
from runtime.server.access.key_file import add_key, hash_of, read_keys


def test_a_key_is_shown_once_and_kept_as_a_hash(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    first = add_key(path, "alice", max_concurrent=2)
    second = add_key(path, "root", is_admin=True, may_share=True)
    assert first != second
    assert re.fullmatch(r"sgdsl-[\w-]{43}", first)
    text = path.read_text()
    assert first not in text
    assert hash_of(first) in text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    alice, root = (entry.tenant() for entry in read_keys(path))
    assert (alice.name, alice.namespace, alice.max_concurrent, alice.is_admin) == ("alice", "alice", 2, False)
    assert (root.name, root.namespace, root.max_concurrent, root.is_admin) == ("root", "", None, True)
    assert [one.name for one in tmp_path.iterdir()] == ["keys.json"]


GOOD = {"name": "a", "hash": hash_of("x")}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("nothing", "keys.json"),
        ({}, "Expected `array`"),
        ([{"name": "a"}], "missing required field `hash`"),
        ([GOOD | {"admin": True}], "unknown field `admin`"),
        ([GOOD | {"name": "a/b"}], "entry 0: name='a/b' is not allowed"),
        ([GOOD, GOOD | {"name": "b", "namespace": ""}], "entry 1: namespace='' is not allowed"),
        ([GOOD | {"hash": "sha256:abc"}], "hash is not allowed"),
        ([GOOD | {"max_concurrent": 0}], "max_concurrent=0 is not allowed"),
        ([GOOD | {"namespace": "n", "may_share": True}], "may_share are given together"),
        ([GOOD, GOOD], "entry 1: name='a' is there twice"),
    ],
)
def test_files_that_are_none(tmp_path: Path, content: Any, said: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(ConfigError, match=re.escape(said)):
        read_keys(path)


def test_what_cannot_be_added(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    add_key(path, "alice")
    before = path.read_text()
    with pytest.raises(ConfigError, match="name='alice' is taken"):
        add_key(path, "alice")
    with pytest.raises(ConfigError, match="max_concurrent=-1"):
        add_key(path, "bob", max_concurrent=-1)
    assert path.read_text() == before
    with pytest.raises(ConfigError, match="cannot be written"):
        add_key(tmp_path / "nowhere" / "keys.json", "alice")
