from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import repeat
from typing import Any, cast

import pytest

from runtime.errors import ContextLengthExceeded
from sgdsl.cli.tuning.prompts import Prompt, synthetic
from sgdsl.cli.tuning.rise import Level, levels_up_to, rise


class Server:
    """An engine that makes so many tokens a second, however many ask."""

    def __init__(self, most: int, error: Exception | None = None) -> None:
        self.most, self.error = most, error
        self.busy = self.tokens = self.flushes = 0

    async def async_generate(self, prompt: str, sampling_params: dict[str, Any]) -> dict[str, Any]:
        if self.error is not None:
            raise self.error
        self.busy += 1
        try:
            await asyncio.sleep(0.02 * max(1, self.busy / self.most))
        finally:
            self.busy -= 1
        self.tokens += 10
        times = {"queue_time": 0.25, "time_to_first_token": None}
        return {"meta_info": {"prompt_tokens": 4, "cached_tokens": 1, **times}}

    def stats(self) -> dict[str, Any]:
        return {
            "steps": self.tokens // 10,
            "generated_tokens": self.tokens,
            "running": self.busy,
            "limited_steps": {"max_running_requests": self.tokens // 10} if self.busy > self.most else {},
            "ledger": {"total": 100, "free": 100 - 10 * self.busy},
            "evictable_tokens": 0,
        }

    def flush_cache(self) -> None:
        self.flushes += 1


def _rise(server: Server, most: int, seconds: float = 2.4) -> list[Level]:
    told: list[Level] = []
    prompts = repeat(Prompt("a", 10))
    found = rise(cast("Any", server), prompts, seconds=seconds, most=most, tell=told.append)
    assert told == found
    assert server.flushes == len(found)
    return found


def test_levels_double_up_to_the_last() -> None:
    assert [levels_up_to(most) for most in (1, 2, 8, 12)] == [[1], [1, 2], [1, 2, 4, 8], [1, 2, 4, 8, 12]]


def test_it_ends_when_throughput_grows_no_more() -> None:
    found = _rise(Server(most=2), most=64)
    assert 4 <= found[-1].concurrency < 64  # where it ends exactly is the machine's mood
    assert found[1].tokens_per_second > 1.3 * found[0].tokens_per_second
    level = found[-1]
    assert level.limited_by == "max_running_requests"
    assert found[0].limited_by is None
    assert (level.cached_share, level.queue_seconds) == (0.25, (0.25, 0.25))
    assert level.kv_tokens == 10 * level.concurrency
    assert level.kv_use == level.concurrency / 10
    assert str(level.first_token_seconds) == "(nan, nan)"


def test_a_prompt_that_cannot_be_served_ends_it() -> None:
    with pytest.raises(ContextLengthExceeded, match="too long"):
        _rise(Server(most=2, error=ContextLengthExceeded("too long")), most=4)


def test_a_real_engine_is_left_as_it_was(tiny_engine: Any, is_idle: Callable[[Any], bool], settles: Any) -> None:
    prompts = synthetic(320, 24, 6, seed=0)
    found = rise(tiny_engine, prompts, seconds=1.5, most=2, tell=lambda _: None)
    assert [level.concurrency for level in found] == [1, 2]
    for level in found:
        assert level.requests >= 1
        assert level.tokens_per_second > 0
        assert 0 < level.kv_use < 1
        assert 0 <= level.queue_seconds[0] <= level.first_token_seconds[0]
    assert settles(lambda: is_idle(tiny_engine))
