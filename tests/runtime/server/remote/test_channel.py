from __future__ import annotations

import threading
from pathlib import Path
from queue import SimpleQueue

import msgspec
import pytest

from runtime.server.remote.channel import Channel
from runtime.server.remote.messages import Leave, Ping, encode, read_from_server


def pair(folder: Path, heard: SimpleQueue[bytes]) -> tuple[Channel, Channel]:
    there, back = (f"ipc://{folder / name}" for name in ("there", "back"))
    token = b"token"
    ours = Channel(token, incoming=back, outgoing=there, binds=True, take=lambda frame: None)
    theirs = Channel(token, incoming=there, outgoing=back, binds=False, take=heard.put)
    return ours, theirs


def test_messages_arrive_in_their_order_whoever_says_them(tmp_path: Path) -> None:
    heard: SimpleQueue[bytes] = SimpleQueue()
    ours, theirs = pair(tmp_path, heard)
    for number in range(10_000):
        ours.say(msgspec.Raw(encode(Ping(number))) if number % 2 else Ping(number))
    found: list[object] = []
    while len(found) < 10_000:
        found.extend(read_from_server(heard.get(timeout=10)))
    assert found == [Ping(number) for number in range(10_000)]
    ours.close()
    theirs.close()


def test_what_was_said_last_is_sent_before_the_end(tmp_path: Path) -> None:
    heard: SimpleQueue[bytes] = SimpleQueue()
    ours, theirs = pair(tmp_path, heard)
    ours.say(Leave(1))
    assert heard.get(timeout=10)  # they are connected
    ours.say(Leave(2))
    ours.close(linger_seconds=5.0)
    assert read_from_server(heard.get(timeout=10)) == (Leave(2),)
    theirs.close()


def test_one_that_cannot_be_written_takes_no_other_along(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    heard: SimpleQueue[bytes] = SimpleQueue()
    ours, theirs = pair(tmp_path, heard)
    for message in (Leave(1), Leave(2**70), Leave(3)):
        ours.say(message)
    found: list[object] = []
    while len(found) < 2:
        found.extend(read_from_server(heard.get(timeout=10)))
    assert found == [Leave(1), Leave(3)]
    assert "could not be written" in caplog.text
    ours.close()
    theirs.close()


def test_closing_waits_for_nobody_who_never_came(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    alone = Channel(
        b"", incoming=f"ipc://{tmp_path / 'a'}", outgoing=f"ipc://{tmp_path / 'b'}", binds=True, take=lambda frame: None
    )
    alone.say(Leave(1))
    alone.close()
    alone.close()
    assert set(threading.enumerate()) <= before
