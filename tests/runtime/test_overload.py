"""More is asked for than the pool holds: everybody is answered, and nothing is lost to the crowd."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from runtime.engine import Engine
from runtime.sampling.params import SamplingParams
from runtime.scheduler.policies import POLICIES

POOL, PROMPT, NEW = 512, 8, 120
CAPACITY = POOL // (PROMPT + NEW)


def _run(engine: Engine, count: int) -> tuple[float, list[list[int]]]:
    """So many requests that are there at once: generated tokens a forward pass, and the answers."""
    engine.flush_cache()
    before = engine.stats()
    everybody_is_there = threading.Event()
    engine._core.post(lambda: everybody_is_there.wait(60) and None)
    handles = []
    for number in range(count):
        with engine.open() as session:
            session.append([number, *range(50, 49 + PROMPT)])
            params = SamplingParams(max_new_tokens=NEW, temperature=0, ignore_eos=True, priority=number % 2)
            handles.append(session.generate(params))
    everybody_is_there.set()
    results = [handle.result(timeout=60) for handle in handles]
    after = engine.stats()
    assert after["failed_requests"] == 0
    assert [result.finish_reason for result in results] == ["length"] * count
    generated = after["generated_tokens"] - before["generated_tokens"]
    assert generated == count * NEW
    return generated / (after["steps"] - before["steps"]), [list(result.token_ids) for result in results]


@pytest.mark.parametrize("policy", POLICIES)
def test_at_four_times_the_pools_capacity_throughput_is_what_it_was_before(
    make_engine: Callable[..., Engine], assert_nothing_held: Callable[[Engine], None], policy: str
) -> None:
    engine = make_engine(max_total_tokens=POOL, policy=policy, audit="idle")
    throughput, answers = {}, {}
    for count in (CAPACITY // 2, CAPACITY, 4 * CAPACITY):
        throughput[count], answers[count] = _run(engine, count)
    assert throughput[4 * CAPACITY] >= 0.9 * max(throughput.values())
    assert answers[4 * CAPACITY][:CAPACITY] == answers[CAPACITY]
    stats: dict[str, Any] = engine.stats()
    assert stats["retractions"] > 0, "the load was meant to be too much"
    assert_nothing_held(engine)
