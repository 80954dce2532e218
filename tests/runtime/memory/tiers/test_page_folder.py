"""The directory's files: whole or not there, and within their bytes at every moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from runtime.memory.tiers import page_folder as module
from runtime.memory.tiers.folder_lock import FolderLock
from runtime.memory.tiers.page_folder import SUFFIX, UNFINISHED, PageFolder

SIZE = 40
DYING = """
import os, sys, time
from pathlib import Path
from runtime.memory.tiers.page_folder import PageFolder

def stop(*_):
    print("now", flush=True)
    time.sleep(60)

folder = PageFolder(Path(sys.argv[1]), 1000)
folder.save("whole.kv", b"w" * 40)
setattr(os, sys.argv[2], stop)
folder.save("half.kv", b"h" * 40)
"""


def content(number: int) -> bytes:
    return bytes([number]) * SIZE


def taken(path: Path) -> int:
    """Bytes of all page files, also of those that are being written."""
    total = 0
    for file in path.iterdir():
        if file.suffix in (SUFFIX, UNFINISHED):
            try:
                total += file.stat().st_size
            except FileNotFoundError:
                continue
    return total


@pytest.fixture
def most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What was taken in the middle of every write, and right after it."""
    seen: list[int] = []

    def watched(call: object) -> object:
        def instead(*arguments: object) -> None:
            seen.append(taken(tmp_path))
            call(*arguments)  # type: ignore[operator]
            seen.append(taken(tmp_path))

        return instead

    monkeypatch.setattr(module.os, "fsync", watched(os.fsync))
    monkeypatch.setattr(module.os, "replace", watched(os.replace))
    return seen


def test_it_stays_within_its_bytes_while_it_writes(tmp_path: Path, most: list[int]) -> None:
    folder = PageFolder(tmp_path, 3 * SIZE)
    for number in range(7):
        assert folder.save(f"{number}.kv", content(number))
        assert folder.num_bytes == taken(tmp_path)
    assert max(most) == 3 * SIZE
    assert [f"{number}.kv" in folder for number in range(7)] == [False] * 4 + [True] * 3
    assert not folder.save("6.kv", content(6))
    assert not folder.save("large.kv", bytes(3 * SIZE + 1))


def test_engines_that_share_it_stay_within_its_bytes_together(tmp_path: Path, most: list[int]) -> None:
    folders = [PageFolder(tmp_path, 5 * SIZE) for _ in range(3)]

    def write(place: int) -> None:
        for number in range(12):
            folders[place].save(f"{place}-{number}.kv", content(number))
            folders[place].save(f"all-{number}.kv", content(number))

    threads = [threading.Thread(target=write, args=(place,)) for place in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(most) > 100
    assert max(most) == 5 * SIZE
    assert taken(tmp_path) == 5 * SIZE
    assert not list(tmp_path.glob(f"*{UNFINISHED}"))


def test_what_is_there_at_first_is_tidied(tmp_path: Path) -> None:
    for age, name in enumerate(("b.kv", "a.kv", "c.kv", "left.kv-unfinished", "notes.txt")):
        (tmp_path / name).write_bytes(content(1))
        os.utime(tmp_path / name, (1000 + age, 1000 + age))
    folder = PageFolder(tmp_path, 2 * SIZE)
    assert folder.look()
    folder.tidy()
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".lock") == ["a.kv", "c.kv", "notes.txt"]
    assert folder.num_bytes == 2 * SIZE
    assert not folder.look()


def test_looking_alone_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "left.kv-unfinished").write_bytes(content(1))
    assert PageFolder(tmp_path, SIZE).look()
    assert [path.name for path in tmp_path.iterdir()] == ["left.kv-unfinished"]


@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_an_engine_that_is_killed_in_mid_write_leaves_nothing_in_the_way(tmp_path: Path, moment: str) -> None:
    command = [sys.executable, "-c", DYING, str(tmp_path), moment]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(module.__file__).parents[3]) as dying:
        assert dying.stdout is not None
        assert dying.stdout.readline() == b"now\n"
        dying.send_signal(signal.SIGKILL)
        assert dying.wait(30) == -signal.SIGKILL
    assert len(list(tmp_path.glob(f"*{UNFINISHED}"))) == 1
    folder = PageFolder(tmp_path, 2 * SIZE)
    assert folder.look()
    assert (folder.read("whole.kv", SIZE), "half.kv" in folder) == (b"w" * SIZE, False)
    assert folder.save("next.kv", content(9))
    assert taken(tmp_path) == folder.num_bytes == 2 * SIZE
    assert not list(tmp_path.glob(f"*{UNFINISHED}"))


def test_a_file_of_somebody_who_is_writing_is_let_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writing, go_on = threading.Event(), threading.Event()
    fsync = os.fsync

    def slow(handle: int) -> None:
        writing.set()
        assert go_on.wait(30)
        fsync(handle)

    with monkeypatch.context() as patched:
        patched.setattr(module.os, "fsync", slow)
        slow_one = threading.Thread(target=PageFolder(tmp_path, 4 * SIZE).save, args=("slow.kv", content(1)))
        slow_one.start()
        assert writing.wait(30)
    other = PageFolder(tmp_path, 4 * SIZE)
    assert other.look()
    tidying = threading.Thread(target=other.tidy)
    tidying.start()
    assert len(list(tmp_path.glob(f"*{UNFINISHED}"))) == 1
    go_on.set()
    for thread in (slow_one, tidying):
        thread.join(30)
    assert other.read("slow.kv", SIZE) == content(1)


def test_a_full_disk_leaves_nothing_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The device that is always full: the write itself fails, in the middle of it."""
    real = module.tempfile.mkstemp

    def full(**where: object) -> tuple[int, str]:
        handle, name = real(**where)  # type: ignore[call-overload]
        os.close(handle)
        return os.open("/dev/full", os.O_WRONLY), name

    monkeypatch.setattr(module.tempfile, "mkstemp", full)
    folder = PageFolder(tmp_path, 10 * SIZE)
    with pytest.raises(OSError, match="No space left"):
        folder.save("a.kv", content(1))
    assert (taken(tmp_path), folder.num_bytes, list(tmp_path.glob("*.kv*"))) == (0, 0, [])


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.kv")  # whose opening would wait for a writer
    (tmp_path / "folder.kv").mkdir()
    (tmp_path / "link.kv").symlink_to(tmp_path / "pipe.kv")
    folder = PageFolder(tmp_path, SIZE)
    folder.look()
    for name in ("pipe.kv", "folder.kv", "link.kv"):
        assert name not in folder
        with pytest.raises(OSError, match="is no file"):
            folder.read(name, SIZE)


def test_of_a_file_that_is_too_large_no_more_is_read_than_shows_it(tmp_path: Path) -> None:
    (tmp_path / "a.kv").write_bytes(bytes(10_000))
    assert PageFolder(tmp_path, SIZE).read("a.kv", SIZE) == bytes(SIZE + 1)


def test_all_of_a_model_are_forgotten_and_deleted(tmp_path: Path) -> None:
    folder = PageFolder(tmp_path, 10 * SIZE)
    for name in ("m-1.kv", "n-1.kv", "m-2.kv"):
        folder.save(name, content(1))
    folder.forget_all("m-")
    assert ("m-1.kv" in folder, "n-1.kv" in folder, folder.num_bytes) == (False, True, SIZE)
    folder.remove_all("m-")
    assert [path.name for path in tmp_path.glob("*.kv")] == ["n-1.kv"]


def test_a_lock_file_is_no_page(tmp_path: Path) -> None:
    with FolderLock(tmp_path).held():
        folder = PageFolder(tmp_path, SIZE)
        assert (folder.look(), folder.num_bytes) == (False, 0)
