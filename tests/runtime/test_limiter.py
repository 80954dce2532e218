from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from runtime.config import MemoryConfig, SchedulerConfig
from runtime.engine import Engine
from runtime.limiter import PAUSE_SECONDS, STEADY, Limiter
from runtime.memory.budget import derive
from runtime.scheduler.plan import Limit

LOGGER = "sgdsl.engine"


class Watched:
    """A limiter on a clock of its own."""

    def __init__(self, **memory: Any) -> None:
        self.now = 100.0
        budget = derive(
            MemoryConfig(**{"max_total_tokens": 1024} | memory),
            SchedulerConfig(max_running_requests=8, chunked_prefill_size=32),
            model_context=512, bytes_per_token=1, free_bytes=1 << 20, weight_bytes=0,
        )  # fmt: skip
        self.limiter = Limiter(budget, lambda: self.now)

    def watch(self, limit: Limit | None, running: int, waiting: int, times: int = STEADY) -> str | None:
        for _ in range(times):
            self.limiter.watch(limit, running, waiting)
        return self.limiter.limited_by


@pytest.mark.parametrize("limit", Limit)
def test_what_limits_is_known_when_it_has_done_so_for_some_steps(limit: Limit) -> None:
    watched = Watched()
    assert watched.watch(limit, 4, 0) is None
    assert watched.watch(limit, 4, 3, times=STEADY - 1) is None
    assert watched.watch(limit, 4, 3, times=2) == limit.value
    assert watched.limiter.steps == {limit.value: 2}
    assert watched.watch(None, 4, 3, times=1) is None
    assert watched.watch(limit, 4, 3) == limit.value
    assert watched.watch(limit, 4, 0, times=1) is None


def test_places_that_the_pool_has_no_pages_for_are_a_limit_of_memory() -> None:
    watched = Watched(max_total_tokens=128, page_size=16)
    assert watched.watch(Limit.PLACES, 8, 3) == "max_total_tokens"
    assert Watched(max_total_tokens=144, page_size=16).watch(Limit.PLACES, 8, 3) == "max_running_requests"


@pytest.mark.parametrize(
    ("limit", "what"),
    [
        (Limit.TOKENS, "chunked_prefill_size=32"),
        (Limit.PREFIX, "a prefix that another request computes"),
        (Limit.TIERS, "what is on its way from host memory or disk"),
    ],
)
def test_it_is_said_in_words(limit: Limit, what: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    Watched().watch(limit, 4, 20)
    assert caplog.messages == [f"running requests limited to 4 by {what}; queue 20"]


def test_it_is_said_once_while_requests_wait_and_not_too_often(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    watched = Watched(max_total_tokens=None, mem_fraction_static=0.5)
    line = "running requests limited to 4 by max_total_tokens=524288 (from mem_fraction_static=0.5); queue 20"
    watched.watch(Limit.MEMORY, 4, 20, times=50)
    assert [record.message for record in caplog.records] == [line]
    watched.watch(None, 0, 0)
    watched.watch(Limit.MEMORY, 4, 20)
    assert len(caplog.records) == 1
    watched.now += PAUSE_SECONDS
    watched.watch(Limit.MEMORY, 4, 20, times=50)
    assert [record.message for record in caplog.records] == [line, line]
    watched.now += PAUSE_SECONDS
    watched.watch(Limit.PLACES, 8, 16, times=50)
    assert caplog.records[-1].message == "running requests limited to 8 by max_running_requests=8; queue 16"


def test_fifty_users_and_only_max_total_tokens_set(
    make_engine: Callable[..., Engine],
    assert_nothing_held: Callable[[Engine], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The complaint this project was founded on: few of fifty run, and nothing says why."""
    caplog.set_level(logging.INFO, LOGGER)
    engine = make_engine(max_total_tokens=256, audit="idle")
    prompts = [[3 + number, *range(100, 107)] for number in range(50)]
    params = {"max_new_tokens": 16, "temperature": 0, "ignore_eos": True}
    seen: list[dict[str, Any]] = []
    with ThreadPoolExecutor(1) as users:
        answers = users.submit(engine.generate, input_ids=prompts, sampling_params=params)
        while not answers.done():
            seen.append(engine.stats())
            time.sleep(0.001)
    assert [answer["meta_info"]["completion_tokens"] for answer in answers.result()] == [16] * 50
    crowded = [stats for stats in seen if stats["waiting"]]
    assert max(stats["running"] for stats in crowded) >= 256 // 32  # at least as many as fit at their full length
    assert "max_total_tokens" in {stats["limited_by"] for stats in crowded}
    said = [record.message for record in caplog.records if record.message.startswith("running requests limited to")]
    assert any("by max_total_tokens=256; queue" in line for line in said)
    assert engine.server_info()["settings"]["max_total_tokens"]["became"] == 256
    assert engine.stats()["limited_steps"]["max_total_tokens"] > 0
    assert_nothing_held(engine)
    assert engine.stats()["limited_by"] is None
