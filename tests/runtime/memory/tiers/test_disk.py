"""The directory: found again, shared, bounded, and left clean."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runtime.memory.tiers import disk as disk_module
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
