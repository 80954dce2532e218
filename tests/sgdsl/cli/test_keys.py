from __future__ import annotations

from pathlib import Path
from typing import Any

from runtime.server.access.key_file import hash_of, read_keys


def test_keys_come_and_go(sgdsl: Any, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    code, key, err = sgdsl("keys", "add", "alice", "--file", file, "--max-concurrent", 3, "--admin")
    assert (code, str(file) in err) == (0, True)
    assert sgdsl("keys", "add", "bob", "--file", file, "--namespace", "team")[0] == 0
    alice, bob = read_keys(file)
    assert (alice.hash, alice.max_concurrent, alice.is_admin) == (hash_of(key.strip()), 3, True)
    assert (bob.namespace, bob.max_concurrent, bob.is_admin, bob.may_share) == ("team", None, False, False)
    assert sgdsl("keys", "list", "--file", file)[1] == "alice\nbob\n"
    assert sgdsl("keys", "remove", "alice", "--file", file)[0] == 0
    assert sgdsl("keys", "list", "--file", file)[1] == "bob\n"


def test_what_is_asked_wrongly(sgdsl: Any, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    assert sgdsl("keys", "add", "alice", "--file", file)[0] == 0
    for words, said in (
        (["add"], "NAME is needed"),
        (["list", "alice"], "no NAME is allowed"),
        (["add", "alice"], "name='alice' is taken"),
        (["add", "a b"], "name='a b' is not allowed"),
        (["add", "b", "--max-concurrent", "0"], "max_concurrent=0 is not allowed"),
        (["remove", "bob"], "name='bob' is not in"),
        (["rename", "bob"], "rename"),
    ):
        code, out, err = sgdsl("keys", *words, "--file", file)
        assert (code, out) == (2, "")
        assert said in err
    assert "cannot" not in file.read_text()
