from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sgdsl.backends.result_store import ResultStore

Make = Callable[..., ResultStore]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "cache.db"


@pytest.fixture
def make(path: Path) -> Iterator[Make]:
    made: list[ResultStore] = []

    def start(max_bytes: int = 1 << 20) -> ResultStore:
        made.append(ResultStore(path, max_bytes))
        return made[-1]

    yield start
    for store in made:
        store.close()


def test_what_is_kept_is_found_by_others_too(make: Make) -> None:
    store = make()
    store.put(b"a", {"text": "é", "list": [1, None]})
    assert store.get(b"a") == {"text": "é", "list": [1, None]}
    assert store.get(b"b") is None
    assert make().get(b"a") == {"text": "é", "list": [1, None]}
    store.put(b"a", 2)
    store.close()
    assert store.get(b"a") is None
    store.put(b"a", 3)
    assert make().get(b"a") == 2


def test_what_was_not_asked_for_longest_goes_first(make: Make) -> None:
    store = make(1000)
    for number in range(8):
        store.put(bytes([number]), "x" * 100)
    for number in range(8, 16):
        assert store.get(b"\x00") is not None
        store.put(bytes([number]), "x" * 100)
    kept = [number for number in range(16) if store.get(bytes([number])) is not None]
    assert store.num_bytes <= 1000
    assert 0 in kept
    assert kept[-1] == 15
    assert 5 <= len(kept) <= 9
    store.put(b"huge", "x" * 2000)
    assert store.get(b"huge") is None
    assert store.get(b"\x0f") is not None


def test_a_file_that_is_none_is_put_aside(make: Make, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database at all" * 100)
    store = make()
    assert "not a usable cache" in caplog.text
    store.put(b"a", 1)
    assert store.get(b"a") == 1
    assert path.with_name("cache.db.damaged").read_bytes().startswith(b"not a database")


def test_a_file_that_breaks_later_is_put_aside(make: Make, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = make()
    for number in range(200):
        store.put(number.to_bytes(4), "x" * 500)
    store.close()
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    store = make()
    found = [store.get(number.to_bytes(4)) for number in range(200)]
    assert set(found) <= {None, "x" * 500}
    assert "not a usable cache" in caplog.text
    store.put(b"new", 1)
    assert store.get(b"new") == 1


def test_a_file_of_another_version_is_put_aside(make: Make, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.parent.mkdir()
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 77")
    database.close()
    assert make().get(b"a") is None
    assert "version 77" in caplog.text


def test_a_value_that_was_changed_is_not_believed(make: Make, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = make()
    store.put(b"a", "right")
    database = sqlite3.connect(path)
    database.execute("UPDATE results SET value = ?", (b'"wrong"',))
    database.commit()
    database.close()
    assert store.get(b"a") is None
    assert "damaged" in caplog.text
    store.put(b"a", "again")
    assert store.get(b"a") == "again"


def test_a_file_that_cannot_be_used_stays_as_it_is(make: Make, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.mkdir(parents=True)
    store = make()
    store.put(b"a", 1)
    assert store.get(b"a") is None
    assert "nothing is kept" in caplog.text
    assert path.is_dir()


def test_where_no_new_file_can_be_begun_nothing_is_kept(
    make: Make, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database" * 100)
    path.with_name("cache.db.damaged").mkdir()
    store = make()
    store.put(b"a", 1)
    assert store.get(b"a") is None
    assert "no cache can be begun" in caplog.text


def test_threads_and_stores_share_a_file(make: Make) -> None:
    stores = [make(), make()]

    def write(store: ResultStore, start: int) -> None:
        for number in range(start, start + 50):
            store.put(number.to_bytes(4), number)
            assert store.get(number.to_bytes(4)) == number

    threads = [threading.Thread(target=write, args=(stores[i % 2], i * 50)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [stores[0].get(number.to_bytes(4)) for number in range(200)] == list(range(200))
