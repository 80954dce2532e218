"""The engine with tiers below its pool: the same tokens, and no page lost, whatever happens to the files."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runtime.engine import Engine
from runtime.memory.tiers import page_folder as folder_module
from runtime.memory.tiers.disk import DiskTier
from runtime.sampling.params import SamplingParams

GREEDY: dict[str, Any] = {"temperature": 0, "max_new_tokens": 4, "ignore_eos": True}
PROMPTS = [
    f"{name}: " + "the theatre there, then the thin thing thinks that those other things are there " * 3
    for name in ("one", "two", "three", "12 + 30", "été")
]
SMALL = {"max_total_tokens": 72, "page_size": 4}  # one prompt and its output, and little more
MakeEngine = Callable[..., Engine]
Check = Callable[[Engine], None]


def outputs(engine: Engine, prompts: list[str] = PROMPTS) -> list[list[int]]:
    """One after the other, so that each evicts those before it."""
    return [engine.generate(prompt, GREEDY)["output_ids"] for prompt in prompts]


def count_files(folder: Path) -> int:
    return len(list(folder.glob("*.kv")))


@pytest.fixture
def expected(make_engine: MakeEngine) -> list[list[int]]:
    return outputs(make_engine(**SMALL))


@pytest.mark.parametrize("tier_write", ["write_through", "write_back"])
@pytest.mark.parametrize("host", [0, 20_000, 1 << 24])
@pytest.mark.parametrize("disk", [False, True])
def test_the_tokens_are_the_same_with_and_without_tiers(
    make_engine: MakeEngine,
    expected: list[list[int]],
    assert_nothing_held: Check,
    tmp_path: Path,
    tier_write: str,
    host: int,
    disk: bool,
) -> None:
    folder = tmp_path if disk else None
    engine = make_engine(**SMALL, host_cache_bytes=host, disk_cache_dir=folder, tier_write=tier_write)
    for _ in range(3):
        assert outputs(engine) == expected
    together = engine.generate(PROMPTS * 2, GREEDY)
    assert [answer["output_ids"] for answer in together] == expected * 2
    stats = engine.stats()
    if host != 20_000:
        assert (stats["host_hit_tokens"] > 0) == (host > 0)
    assert (stats["disk_hit_tokens"] > 0) == (disk and host <= 20_000)
    assert stats["host_cache_used_bytes"] <= host
    assert stats["tier_misses_damaged"] == 0
    assert_nothing_held(engine)


def test_what_comes_back_counts_as_cached(make_engine: MakeEngine) -> None:
    engine = make_engine(**SMALL, host_cache_bytes=1 << 24)
    outputs(engine)
    again = engine.generate(PROMPTS[0], GREEDY)["meta_info"]
    assert again["cached_tokens"] == (again["prompt_tokens"] - 1) // 4 * 4
    assert engine.stats()["host_hit_tokens"] == again["cached_tokens"]


@pytest.mark.parametrize("tier_write", ["write_through", "write_back"])
@pytest.mark.parametrize("tokens", [72, 4096], ids=["evicted", "never evicted"])
def test_a_restart_finds_the_pages_on_disk(
    make_engine: MakeEngine, expected: list[list[int]], tmp_path: Path, tier_write: str, tokens: int
) -> None:
    settings = {"max_total_tokens": tokens, "page_size": 4, "tier_write": tier_write, "disk_cache_dir": tmp_path}
    first = make_engine(**settings, host_cache_bytes=100_000)
    assert outputs(first) == expected
    first.shutdown()
    second = make_engine(**settings)
    answers = [second.generate(prompt, GREEDY) for prompt in PROMPTS]
    assert [answer["output_ids"] for answer in answers] == expected
    for answer in answers:
        assert answer["meta_info"]["cached_tokens"] == (answer["meta_info"]["prompt_tokens"] - 1) // 4 * 4
    assert second.stats()["disk_hit_tokens"] > 0


def test_namespaces_find_only_their_own_pages(make_engine: MakeEngine, tmp_path: Path) -> None:
    for namespace, hits in (("one", False), ("two", False), ("one", True)):
        engine = make_engine(**SMALL, disk_cache_dir=tmp_path)
        with engine.open(namespace=namespace) as session:
            session.append(PROMPTS[0])
            session.generate(SamplingParams(**GREEDY)).result()
        assert (engine.stats()["disk_hit_tokens"] > 0) == hits
        engine.shutdown()


def test_another_models_and_another_page_sizes_pages_are_not_found(make_engine: MakeEngine, tmp_path: Path) -> None:
    first = make_engine(**SMALL, disk_cache_dir=tmp_path)
    outputs(first)
    first.shutdown()
    for changed in ({"page_size": 8}, {"attention": "cpu"}):
        other = make_engine(**{**SMALL, **changed}, disk_cache_dir=tmp_path)
        outputs(other, PROMPTS[:1])
        assert other.stats()["disk_hit_tokens"] == 0


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "swap", "directory"])
def test_damaged_files_are_counted_misses(
    make_engine: MakeEngine, expected: list[list[int]], assert_nothing_held: Check, tmp_path: Path, damage: str
) -> None:
    first = make_engine(**SMALL, disk_cache_dir=tmp_path)
    outputs(first)
    first.shutdown()
    contents = {path: path.read_bytes() for path in tmp_path.glob("*.kv")}
    shifted = [*list(contents.values())[1:], next(iter(contents.values()))]
    for (path, content), other in zip(contents.items(), shifted, strict=True):
        if damage == "directory":
            path.unlink()
            path.mkdir()
            continue
        changed = {
            "flip": content[:-7] + bytes([content[-7] ^ 1]) + content[-6:],
            "truncate": content[:-1],
            "empty": b"",
            "swap": other,
        }
        path.write_bytes(changed[damage])
    second = make_engine(**SMALL, disk_cache_dir=tmp_path)
    answers = [second.generate(prompt, GREEDY) for prompt in PROMPTS]
    assert [answer["output_ids"] for answer in answers] == expected
    stats = second.stats()
    assert stats["disk_hit_tokens"] == 0
    assert stats["tier_misses_damaged"] == (0 if damage == "directory" else len(PROMPTS))
    assert_nothing_held(second)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_turns_writing_off_with_one_warning(
    make_engine: MakeEngine,
    expected: list[list[int]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    call: str,
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched, caplog.at_level(logging.WARNING):
        patched.setattr(folder_module.os, call, full)
        engine = make_engine(**SMALL, disk_cache_dir=tmp_path)
        assert outputs(engine) == expected
        engine.shutdown()
        assert engine.stats()["disk_is_writable"] is False
    assert len([record for record in caplog.records if record.name == "sgdsl.tiers"]) == 1
    assert count_files(tmp_path) == 0


def test_a_folder_that_cannot_be_made_is_no_error(
    make_engine: MakeEngine, expected: list[list[int]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    engine = make_engine(**SMALL, disk_cache_dir=tmp_path / "file")
    assert outputs(engine) == expected
    engine.shutdown()
    assert len([record for record in caplog.records if record.name == "sgdsl.tiers"]) == 1


def test_the_directory_stays_within_its_bytes(
    make_engine: MakeEngine, expected: list[list[int]], tmp_path: Path
) -> None:
    limit = 60_000
    engine = make_engine(**SMALL, disk_cache_dir=tmp_path, disk_cache_bytes=limit)
    for _ in range(2):
        assert outputs(engine) == expected
    engine.shutdown()
    sizes = [path.stat().st_size for path in tmp_path.glob("*.kv*")]
    assert limit / 2 < sum(sizes) <= limit
    assert engine.stats()["disk_cache_used_bytes"] == sum(sizes)


def test_engines_share_a_folder(make_engine: MakeEngine, expected: list[list[int]], tmp_path: Path) -> None:
    engines = [make_engine(**SMALL, disk_cache_dir=tmp_path, disk_cache_bytes=60_000) for _ in range(3)]
    found: dict[int, list[list[int]]] = {}

    def run(place: int) -> None:
        for _ in range(3):
            found[place] = outputs(engines[place])

    threads = [threading.Thread(target=run, args=(place,)) for place in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [found[place] for place in range(3)] == [expected] * 3
    assert [engine.stats()["tier_misses_damaged"] for engine in engines] == [0, 0, 0]


def test_others_run_while_one_waits_for_the_disk_and_a_cancelled_one_leaves_nothing(
    make_engine: MakeEngine,
    expected: list[list[int]],
    assert_nothing_held: Check,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = make_engine(**SMALL, disk_cache_dir=tmp_path)
    outputs(first, PROMPTS[:1])
    first.shutdown()
    reading, go_on = threading.Event(), threading.Event()
    read = DiskTier.read

    def slow(self: DiskTier, key: bytes) -> Any:
        reading.set()
        assert go_on.wait(30)
        return read(self, key)

    monkeypatch.setattr(DiskTier, "read", slow)
    engine = make_engine(**SMALL, disk_cache_dir=tmp_path)
    try:
        session = engine.open()
        session.append(PROMPTS[0])
        waiting = session.generate(SamplingParams(**GREEDY))
        session.flush()
        assert reading.wait(30)
        assert outputs(engine, PROMPTS[1:2]) == expected[1:2]
        assert engine.stats()["waiting"] == 1
        assert not waiting.done()
        session.close()
    finally:
        go_on.set()
    assert outputs(engine) == expected
    assert_nothing_held(engine)
    tiers = engine._core.tiers
    assert tiers is not None
    assert (tiers._num_staged, tiers._reading) == (0, {})


def test_requests_with_one_prefix_read_it_once(make_engine: MakeEngine, tmp_path: Path) -> None:
    first = make_engine(max_total_tokens=2048, page_size=4, disk_cache_dir=tmp_path)
    expected = [first.generate(PROMPTS[0] + end, GREEDY)["output_ids"] for end in (" a", " b", " c")]
    first.shutdown()
    second = make_engine(max_total_tokens=2048, page_size=4, disk_cache_dir=tmp_path)
    answers = second.generate([PROMPTS[0] + end for end in (" a", " b", " c")], GREEDY)
    assert [answer["output_ids"] for answer in answers] == expected
    prompts = sum(answer["meta_info"]["prompt_tokens"] for answer in answers)
    assert 0 < second.stats()["disk_hit_tokens"] < prompts / 2


def test_flushing_forgets_the_tiers_too(make_engine: MakeEngine, tmp_path: Path) -> None:
    engine = make_engine(**SMALL, host_cache_bytes=1 << 24, disk_cache_dir=tmp_path)
    outputs(engine)
    engine.flush_cache()
    assert engine.generate(PROMPTS[0], GREEDY)["meta_info"]["cached_tokens"] == 0


def test_concatenated_kv_goes_to_no_tier(make_engine: MakeEngine, tmp_path: Path) -> None:
    engine = make_engine(max_total_tokens=256, page_size=1, disk_cache_dir=tmp_path)
    with engine.open() as session:
        session.append("the answer")
        fork = session.fork(1)[0]
        fork.append(" is yes")
        session.concat([fork])
        session.append(" or no")
        session.generate(SamplingParams(**GREEDY)).result()
        own = len(engine.tokenizer.encode("the answer")) + len(engine.tokenizer.encode(" is yes"))
    engine.shutdown()
    assert 0 < count_files(tmp_path) <= own
