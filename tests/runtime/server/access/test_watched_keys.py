from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import pytest

from runtime.errors import ConfigError
from runtime.server.access import watched_keys
from runtime.server.access.door import DOOR, Door
from runtime.server.access.key_file import add_key, remove_key
from runtime.server.access.watched_keys import WatchedKeys
from runtime.server.config import ServerConfig
from runtime.server.errors import ApiError
from runtime.wire import messages as wire


class Clock:
    """Seconds that pass when they are told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def names(watched: WatchedKeys) -> list[str]:
    return [entry.name for entry in watched.entries]


def test_a_change_is_seen_after_a_second_and_the_file_is_not_looked_at_more_often(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_key(path, "alice")
    looks: list[Path] = []
    stamp = watched_keys._stamp
    monkeypatch.setattr(watched_keys, "_stamp", lambda one: (looks.append(one), stamp(one))[1])
    watched = WatchedKeys(path, clock)
    add_key(path, "bob")
    clock.now = 0.9
    assert [watched.has_changed() for _ in range(5)] == [False] * 5
    assert (names(watched), len(looks)) == (["alice"], 1)
    clock.now = 1.0
    assert [watched.has_changed() for _ in range(5)] == [True, *[False] * 4]
    assert (names(watched), len(looks)) == (["alice", "bob"], 2)
    clock.now = 2.0
    assert not watched.has_changed()


@pytest.mark.parametrize("broken", ["[", '[{"name": "a b", "hash": "x"}]', None])
def test_a_broken_file_changes_nothing_and_is_told_once(
    path: Path, clock: Clock, caplog: pytest.LogCaptureFixture, broken: str | None
) -> None:
    add_key(path, "alice")
    watched = WatchedKeys(path, clock)
    if broken is None:
        path.unlink()
    else:
        path.write_text(broken)
    with caplog.at_level(logging.ERROR):
        for second in range(1, 4):
            clock.now = second
            assert not watched.has_changed()
    assert names(watched) == ["alice"]
    assert caplog.text.count("the keys stay as they were: api_key_file=") == 1
    path.unlink(missing_ok=True)
    add_key(path, "bob")
    clock.now = 9.0
    assert watched.has_changed()
    assert names(watched) == ["bob"]


def test_a_file_that_is_written_in_place_with_as_many_bytes_is_seen(path: Path, clock: Clock) -> None:
    add_key(path, "alice")
    watched = WatchedKeys(path, clock)
    before = path.stat()
    path.write_bytes(path.read_bytes().replace(b"alice", b"clara"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    clock.now = 1.0
    assert watched.has_changed()
    assert names(watched) == ["clara"]


def test_a_file_that_is_none_at_the_start(path: Path, clock: Clock) -> None:
    with pytest.raises(ConfigError, match="api_key_file="):
        WatchedKeys(path, clock)


def test_keys_come_and_go_and_the_others_stay(path: Path, clock: Clock) -> None:
    alice = add_key(path, "alice")
    door = Door(ServerConfig(api_keys=("k",), api_key_file=str(path)), clock)
    bob = add_key(path, "bob")
    remove_key(path, "alice")

    def found() -> list[str | None]:
        tenants = [door.tenant_of(f"Bearer {key}") for key in (alice, bob, "k")]
        return [None if one is None else one.name for one in tenants]

    assert found() == ["alice", None, "api-key"]
    clock.now = 1.0
    assert found() == [None, "bob", "api-key"]
    assert door.version == 1


def test_a_limit_that_changes_counts_what_is_in_work_already(path: Path, clock: Clock) -> None:
    key = add_key(path, "alice", max_concurrent=1)
    door = Door(ServerConfig(api_key_file=str(path)), clock)
    before = door.tenant_of(f"Bearer {key}")
    path.write_text(path.read_text().replace('"max_concurrent": 1', '"max_concurrent": 2'))
    clock.now = 1.0
    after = door.tenant_of(f"Bearer {key}")
    assert before is not None
    assert after is not None
    with door.counted(before), door.counted(after), pytest.raises(ApiError, match="max_concurrent=2"):
        door.counted(after).__enter__()
    assert not door._in_work


async def test_a_server_that_runs_takes_it_over(make_client: Any, path: Path, clock: Clock) -> None:
    """For requests and for connections that are open."""
    alice, bob = add_key(path, "alice"), add_key(path, "bob")
    client = await make_client(api_key_file=str(path))
    client.app[DOOR]._watched._clock = clock
    clock.now = client.app[DOOR]._watched._looked

    async def status(key: str) -> int:
        async with client.get("/v1/models", headers={"Authorization": f"Bearer {key}"}) as response:
            return int(response.status)

    def marks(number: int) -> str:
        return wire.write_frame([wire.Script(number, (wire.Open("", ""), wire.Append("abc"), wire.Mark(number)))])

    assert [await status(key) for key in (alice, bob)] == [200, 200]
    sockets = [await client.ws_connect(wire.PATH, headers={"Authorization": f"Bearer {key}"}) for key in (alice, bob)]
    for socket in sockets:
        await socket.receive()  # who the server is
        await socket.send_str(marks(1))
        assert isinstance(wire.read_from_server((await socket.receive()).data)[0], wire.Counted)
    remove_key(path, "alice")
    clock.now += 1.0
    answers = []
    for socket in sockets:
        await socket.send_str(marks(2))
        answers.append(wire.read_from_server((await socket.receive()).data)[0])
        await socket.close()
    assert [type(one) for one in answers] == [wire.Refused, wire.Counted]
    assert "the key is not valid any more" in answers[0].problem.message
    assert [await status(key) for key in (alice, bob)] == [401, 200]
