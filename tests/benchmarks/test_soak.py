"""The soak from its command: a short one finds nothing, and what is wrong is found and said with its seed."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from benchmarks import soak
from benchmarks.soaking import round as rounds
from benchmarks.soaking.plan import Ask, Split, draw
from benchmarks.soaking.settings import rounds as settings_of
from runtime.config import Eviction
from runtime.memory.cache import PrefixCache
from runtime.memory.sequence import SequenceKV

SHORT = ("--seconds", "1", "--round-seconds", "1", "--seed", "3", "--json")


def _report(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_short_soak_finds_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert soak.main(SHORT) == 0
    report = _report(capsys)
    assert report["violations"] == 0
    assert report["found"] == []
    assert report["programs"] > 0
    assert report["steps"] > 0
    assert report["rounds"] == 1
    assert {"cancelled", "retractions", "preemptions", "forks", "evicted_tokens", "compared"} <= set(report)


def test_a_page_that_is_kept_is_found_with_seed_and_step(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = PrefixCache.close

    def forgetful(self: PrefixCache, sequence: SequenceKV, tokens: list[int]) -> None:
        node = sequence.node
        real(self, sequence, tokens)
        self.tree.lock(node)

    monkeypatch.setattr(PrefixCache, "close", forgetful)
    monkeypatch.setattr(rounds, "SETTLE_SECONDS", 1.0)
    assert soak.main((*SHORT, "--hang-seconds", "5")) == 1
    report = _report(capsys)
    assert report["violations"] > 0
    assert report["found"][0].startswith("seed 3, round 0, policy=")
    assert "step " in report["found"][0]


def test_a_seed_draws_the_same_programs_again_and_others_others() -> None:
    plans = [draw(random.Random(f"7/{number}")) for number in range(200)]
    assert plans == [draw(random.Random(f"7/{number}")) for number in range(200)]
    assert len(set(map(repr, plans))) > 190
    kinds = {type(step) for plan in plans for step in plan.steps}
    assert {Ask, Split} <= kinds
    assert {plan.fate for plan in plans} == {"ends", "cancelled", "dropped", "timeout", "late"}


def test_every_setting_comes_its_turn(tmp_path: Any) -> None:
    drawn = [settings for settings, _ in zip(settings_of(5, tmp_path), range(56), strict=False)]
    assert {settings["eviction"] for settings in drawn} == set(Eviction.__args__)
    assert len({(settings["policy"], settings["page_size"]) for settings in drawn}) == 10
    tiers = {("disk_cache_dir" in settings, "host_cache_bytes" in settings) for settings in drawn}
    assert len(tiers) == 4


@pytest.mark.parametrize("seconds", ["0", "-1", "inf", "nan"])
def test_a_bad_time_is_refused(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        soak.main(["--seconds", seconds])
    assert caught.value.code == 2
    assert f"{seconds} is not allowed" in capsys.readouterr().err
