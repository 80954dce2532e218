"""When pages go down and when they come up: written when computed, fetched while a request waits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runtime.attention.base import KV_DTYPES
from runtime.config import SchedulerConfig
from runtime.engine import Engine
from runtime.memory.cache import PrefixCache
from runtime.memory.tiers import disk as disk_module
from runtime.memory.tiers.disk import DiskTier
from runtime.memory.tiers.host import HostTier
from runtime.memory.tiers.keys import fingerprint
from runtime.memory.tiers.page_folder import PageFolder
from runtime.memory.tiers.tier_stats import TierStats
from runtime.memory.tiers.tiers import Tiers
from runtime.request import Phase, Request
from runtime.sampling.params import SamplingParams
from runtime.scheduler.scheduler import Scheduler

GREEDY: dict[str, Any] = {"temperature": 0, "max_new_tokens": 4, "ignore_eos": True}
PROMPTS = [[5 + i, *range(40, 60 + 7 * i)] for i in range(4)]
SMALL = {"max_total_tokens": 72, "page_size": 4}
MakeEngine = Callable[..., Engine]


def outputs(engine: Engine) -> list[list[int]]:
    return [engine.generate(input_ids=prompt, sampling_params=GREEDY)["output_ids"] for prompt in PROMPTS]


def written(engine: Engine, folder: Path) -> int:
    """Page files, once nothing waits to be written any more."""
    tiers = engine._core.tiers
    assert tiers is not None
    assert tiers._disk is not None
    tiers._disk._writer.submit(int).result(30)
    return len(list(folder.glob("*.kv")))


@pytest.mark.parametrize("host", [0, 1 << 20])
def test_write_through_writes_what_was_computed_and_write_back_what_is_evicted(
    make_engine: MakeEngine, tmp_path: Path, host: int
) -> None:
    for name, expected in (("write_through", sum((len(prompt) + 3) // 4 for prompt in PROMPTS)), ("write_back", 0)):
        folder = tmp_path / name
        engine = make_engine(page_size=4, disk_cache_dir=folder, tier_write=name, host_cache_bytes=host)
        outputs(engine)
        assert engine.stats()["evicted_tokens"] == 0
        assert written(engine, folder) == expected
    outputs(small := make_engine(**SMALL, disk_cache_dir=tmp_path / "small", tier_write="write_back"))
    evicted = small.stats()["evicted_tokens"] // 4
    assert written(small, tmp_path / "small") == evicted > 0


def test_a_disk_that_is_slow_delays_nobody_and_what_it_missed_is_written_at_the_end(
    make_engine: MakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, save, most = threading.Event(), PageFolder.save, 0

    def slow(self: PageFolder, name: str, content: bytes) -> bool:
        assert go_on.wait(60)
        return save(self, name, content)

    monkeypatch.setattr(PageFolder, "save", slow)
    expected = outputs(make_engine(page_size=4))
    engine = make_engine(page_size=4, disk_cache_dir=tmp_path)
    disk = engine._core.tiers._disk  # type: ignore[union-attr]
    assert disk is not None
    most = 5 * disk._payload_bytes
    monkeypatch.setattr(disk_module, "MOST_PENDING", most)
    try:
        assert outputs(engine) == expected  # and nothing has been written
        assert len(disk._pending) == 5
        assert engine.stats()["disk_pages_dropped"] == sum((len(prompt) + 3) // 4 for prompt in PROMPTS) - 5
    finally:
        go_on.set()
    engine.shutdown()
    again = make_engine(page_size=4, disk_cache_dir=tmp_path)
    assert outputs(again) == expected
    assert again.stats()["disk_hit_tokens"] == sum((len(prompt) - 1) // 4 * 4 for prompt in PROMPTS)


@pytest.mark.parametrize("attention", ["torch", "cpu"])
@pytest.mark.parametrize("name", list(KV_DTYPES))
def test_narrow_kv_goes_down_and_comes_back_as_it_was(
    make_engine: MakeEngine, tmp_path: Path, name: str, attention: str
) -> None:
    narrow = {**SMALL, "kv_dtype": name, "attention": attention}
    expected = outputs(make_engine(**narrow))
    for tier in ({"host_cache_bytes": 1 << 24}, {"disk_cache_dir": tmp_path}):
        engine = make_engine(**narrow, **tier)
        assert [outputs(engine) for _ in range(2)] == [expected] * 2
        hits = engine.stats()
        assert hits["host_hit_tokens"] + hits["disk_hit_tokens"] > 0
        engine.shutdown()
    restarted = make_engine(**narrow, disk_cache_dir=tmp_path)
    assert outputs(restarted) == expected
    assert restarted.stats()["disk_hit_tokens"] > 0
    other = {"float16": "bfloat16", "bfloat16": "float16"}.get(name, "float16")
    foreign = make_engine(**{**narrow, "kv_dtype": other}, disk_cache_dir=tmp_path)
    outputs(foreign)
    assert (foreign.stats()["disk_hit_tokens"], foreign.stats()["tier_misses_damaged"]) == (0, 0)


def test_namespaces_do_not_mix_in_any_tier(make_engine: MakeEngine, tmp_path: Path) -> None:
    """Each is asked for twice while others push it out: what comes back is its own, and the first time nothing does."""
    engine = make_engine(**SMALL, host_cache_bytes=20_000, disk_cache_dir=tmp_path)
    names = ["", "a", "b", "aa", "\0", "a\0"]
    for cached in (0, 32):
        for name in names:
            with engine.open(namespace=name) as session:
                session.append(PROMPTS[2])
                assert session.generate(SamplingParams(**GREEDY)).result(20).cached_tokens == cached
    assert engine.stats()["disk_hit_tokens"] > 0


class Store:
    """Pages that remember what was written."""

    page_bytes = 4

    def __init__(self) -> None:
        self.pages: dict[int, bytes] = {}

    def read_page(self, page: int) -> bytes:
        return self.pages.get(page, b"none")

    def write_page(self, page: int, payload: bytes) -> None:
        self.pages[page] = payload


@pytest.fixture
def slow_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A scheduler over a disk with three pages of a prompt, which it gives once `go_on` is set."""
    model, stats, listed = fingerprint("m"), TierStats(), threading.Event()
    reading, go_on, woken = threading.Event(), threading.Event(), threading.Event()
    cache, store = PrefixCache(16, 2), Store()
    disk = DiskTier(tmp_path, 1 << 20, model, 4, stats, listed.set)
    tiers = Tiers(
        cache, store, host=HostTier(0), disk=disk, write_through=True, fingerprint=model, stats=stats, wake=woken.set
    )
    done = cache.open()
    cache.reserve(done, 6)
    store.pages = {page: bytes([page] * 4) for page in done.pages}
    done.kv_len = 6
    cache.close(done, list(range(6)))
    disk._writer.submit(int).result(30)
    tiers.drop_tree()
    assert listed.wait(30)
    read = DiskTier.read

    def slow(self: DiskTier, key: bytes) -> bytes | None:
        reading.set()
        assert go_on.wait(30)
        return read(self, key)

    monkeypatch.setattr(DiskTier, "read", slow)
    scheduler = Scheduler(cache, SchedulerConfig(), lambda: False, tiers=tiers)
    yield scheduler, reading, go_on, woken
    go_on.set()
    tiers.close(save=False)


def asked(scheduler: Scheduler, tokens: list[int]) -> Request:
    request = Request(tokens=tokens, sequence=scheduler.cache.open(), prompt_len=len(tokens), max_length=len(tokens))
    scheduler.submit(request)
    return request


def test_fetching_begins_when_a_request_is_queued_and_it_runs_when_all_is_there(slow_disk: Any) -> None:
    scheduler, reading, go_on, woken = slow_disk
    request = asked(scheduler, [*range(6), 9, 9])
    assert reading.wait(30)  # nothing was planned yet
    for _ in range(3):
        assert not scheduler.plan().work
        assert request.phase is Phase.WAITING
    other = asked(scheduler, [7, 7, 7])
    assert [work.request for work in scheduler.plan().work] == [other]
    scheduler.end(other)
    go_on.set()
    assert woken.wait(30)
    assert [(work.request, work.num_tokens) for work in scheduler.plan().work] == [(request, 2)]
    assert request.cached_tokens == 6
    pages = request.sequence.pages[:3]
    assert len({scheduler.tiers._store.pages[page] for page in pages}) == 3


def test_a_request_that_leaves_while_it_is_fetched_for_leaves_nothing(slow_disk: Any) -> None:
    scheduler, reading, go_on, woken = slow_disk
    request = asked(scheduler, [*range(6), 9, 9])
    assert reading.wait(30)
    scheduler.end(request)
    again = asked(scheduler, [*range(6), 8, 8])
    go_on.set()
    assert woken.wait(30)
    scheduler.tiers._disk._reader.submit(int).result(30)
    assert [work.request for work in scheduler.plan().work] == [again]
    scheduler.end(again)
    assert (scheduler.tiers._num_staged, scheduler.tiers._reading) == (0, {})
    scheduler.cache.close(again.sequence, again.tokens)
    scheduler.cache.tree.check()


def test_the_threads_of_the_tiers_may_be_done_before_the_engine_is(
    make_engine: MakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What they post is there to be posted to from the first moment on."""
    monkeypatch.setattr(DiskTier, "refresh", lambda self: self._list())
    assert len(outputs(make_engine(**SMALL, disk_cache_dir=tmp_path))) == len(PROMPTS)
