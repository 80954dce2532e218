"""The directory: found again, shared, bounded, and left clean."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runtime.memory.tiers import disk as disk_module
from runtime.memory.tiers import page_folder as folder_module
from runtime.memory.tiers.disk import DiskTier
from runtime.memory.tiers.page_file import file_size
from runtime.memory.tiers.page_folder import PageFolder
from runtime.memory.tiers.tier_stats import TierStats

PAGE = 16
Open = Callable[..., tuple[DiskTier, TierStats]]


def key(number: int) -> bytes:
    return number.to_bytes(32, "big")


def payload(number: int) -> bytes:
    return bytes([number]) * PAGE


def put(tier: DiskTier, number: int, *, wait: bool = False) -> None:
    tier.put(key(number), lambda: payload(number), wait=wait)


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix != ".lock")


@pytest.fixture
def open_tier(tmp_path: Path) -> Iterator[Open]:
    tiers: list[DiskTier] = []

    def make(max_bytes: int = 1 << 20, model: bytes = b"m" * 32) -> tuple[DiskTier, TierStats]:
        stats, listed = TierStats(), threading.Event()
        tier = DiskTier(tmp_path, max_bytes, model, PAGE, stats, listed.set)
        tiers.append(tier)
        assert listed.wait(30)
        return tier, stats

    yield make
    for tier in tiers:
        tier.close()


def test_a_later_tier_finds_the_pages_and_the_order_of_their_use(open_tier: Open, tmp_path: Path) -> None:
    first, _ = open_tier()
    for number in range(3):
        put(first, number)
    first.close()
    for age, number in enumerate((1, 2, 0)):
        path = next(path for path in files(tmp_path) if key(number).hex() in path.name)
        os.utime(path, (1000 + age, 1000 + age))
    second, stats = open_tier(max_bytes=3 * file_size(PAGE))
    assert [second.read(key(number)) for number in (1,)] == [payload(1)]
    put(second, 3)
    second.close()
    assert [key(number) in second for number in range(4)] == [True, True, False, True]
    assert stats.disk_cache_used_bytes == sum(path.stat().st_size for path in files(tmp_path))


def test_another_models_pages_count_but_are_not_found(open_tier: Open) -> None:
    first, _ = open_tier()
    put(first, 0)
    first.close()
    other, stats = open_tier(model=b"n" * 32)
    assert key(0) not in other
    assert other.read(key(0)) is None
    assert (stats.disk_cache_used_bytes, stats.tier_misses_damaged) == (file_size(PAGE), 0)
    other.clear()
    other.close()
    assert open_tier()[0].read(key(0)) == payload(0)


def test_a_page_that_will_never_fit_is_not_written(open_tier: Open, tmp_path: Path) -> None:
    tier, stats = open_tier(max_bytes=file_size(PAGE) - 1)
    put(tier, 0)
    tier.close()
    assert files(tmp_path) == []
    assert stats.disk_is_writable


def test_a_page_is_there_while_it_waits_to_be_written(open_tier: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(PageFolder, "save", lambda *_: go_on.wait(30))
    monkeypatch.setattr(disk_module, "MOST_PENDING", PAGE)
    tier, stats = open_tier()
    try:
        put(tier, 0)
        assert (key(0) in tier, tier.read(key(0))) == (True, payload(0))
        put(tier, 1)
        assert (key(1) in tier, stats.disk_pages_dropped) == (False, 1)
    finally:
        go_on.set()
    put(tier, 1, wait=True)
    assert stats.disk_pages_dropped == 1


def test_a_page_that_is_dropped_is_not_even_read(open_tier: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_module, "MOST_PENDING", 0)
    go_on = threading.Event()
    monkeypatch.setattr(PageFolder, "save", lambda *_: go_on.wait(30))
    tier, stats = open_tier()
    put(tier, 0)  # one is taken in any case
    for _ in range(3):
        tier.put(key(1), lambda: pytest.fail("read"))
    tier.put(key(0), lambda: pytest.fail("read"))  # nor is one that waits already
    assert stats.disk_pages_dropped == 3
    go_on.set()


def test_a_folder_in_a_pages_place_is_in_no_other_pages_way(open_tier: Open, tmp_path: Path) -> None:
    tier, stats = open_tier()
    (tmp_path / tier._name(key(0))).mkdir()
    put(tier, 0)
    put(tier, 1)
    tier.close()
    assert (stats.disk_pages_written, stats.disk_is_writable) == (1, True)
    assert (tier.read(key(0)), tier.read(key(1))) == (None, payload(1))
    assert [path.name for path in files(tmp_path)] == sorted(tier._name(key(number)) for number in (0, 1))


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(5, "Input/output error")])
def test_a_folder_that_cannot_be_looked_into_is_an_empty_one(
    open_tier: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: OSError
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(folder_module.os, "scandir", fail)
    tier, stats = open_tier()
    put(tier, 0)
    assert (tier.is_listed, key(0) in tier, stats.disk_is_writable) == (True, False, False)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert error.strerror is not None
    assert error.strerror in caplog.text


def test_whatever_listing_fails_with_somebody_who_waits_for_it_goes_on(
    open_tier: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PageFolder, "look", lambda _: 1 // 0)
    assert open_tier()[0].is_listed


def test_a_folder_that_may_only_be_read_is_read(
    open_tier: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first, _ = open_tier()
    put(first, 0)
    first.close()
    real = os.open

    def read_only(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise OSError(30, "Read-only file system", str(path))
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", read_only)
    monkeypatch.setattr(os, "utime", lambda _: os.open(tmp_path, os.O_WRONLY))
    second, stats = open_tier()
    for number in range(3):
        put(second, number)
    second.close()
    assert [second.read(key(number)) for number in range(3)] == [payload(0), None, None]
    assert (stats.disk_is_writable, stats.tier_misses_damaged) == (False, 0)
    assert len(caplog.records) == 1


def test_what_is_forgotten_while_it_is_written_is_gone_afterwards(
    open_tier: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, go_on = threading.Event(), threading.Event()
    save = PageFolder.save

    def slow(self: PageFolder, name: str, content: bytes) -> bool:
        writing.set()
        assert go_on.wait(30)
        return save(self, name, content)

    monkeypatch.setattr(PageFolder, "save", slow)
    tier, stats = open_tier()
    put(tier, 0)
    put(tier, 1)
    assert writing.wait(30)
    tier.clear()
    assert (key(0) in tier, key(1) in tier) == (False, False)
    go_on.set()
    tier.close()
    assert (files(tmp_path), stats.disk_cache_used_bytes) == ([], 0)


def test_a_full_disk_can_still_be_emptied(open_tier: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tier, stats = open_tier()
    put(tier, 0)
    tier._writer.submit(int).result()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder_module.os, "fsync", full)
    put(tier, 1)
    tier._writer.submit(int).result()
    tier.clear()
    tier.close()
    assert (files(tmp_path), stats.disk_is_writable) == ([], False)


def test_a_smaller_limit_holds_at_once(open_tier: Open, tmp_path: Path) -> None:
    first, _ = open_tier()
    for number in range(4):
        put(first, number)
    first.close()
    second, stats = open_tier(max_bytes=2 * file_size(PAGE))
    second.close()
    assert len(files(tmp_path)) == 2
    assert stats.disk_cache_used_bytes == 2 * file_size(PAGE)


def test_a_file_another_engine_has_deleted_is_a_plain_miss(open_tier: Open, tmp_path: Path) -> None:
    tier, stats = open_tier()
    put(tier, 0)
    tier._writer.submit(int).result()
    files(tmp_path)[0].unlink()
    assert key(0) in tier
    assert tier.read(key(0)) is None
    assert key(0) not in tier
    assert (stats.tier_misses_damaged, stats.disk_cache_used_bytes) == (0, 0)


def test_what_others_write_is_found_when_the_directory_is_listed_again(
    open_tier: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_module, "RESCAN_SECONDS", 0.0)
    tier, _ = open_tier()
    other, _ = open_tier()
    put(other, 0)
    other.close()
    assert key(0) not in tier
    tier.refresh()
    tier._reader.submit(int).result()
    assert key(0) in tier
