"""Who gives way to whom; and that whoever gave way loses nothing and ends, however many of higher priority come."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.request import Phase, Request
from runtime.scheduler.policies import PATIENCE, POLICIES
from runtime.scheduler.preemption import LEAST_PROGRESS

Loops = Any


def _steps(loop: Any, count: int) -> None:
    for _ in range(count):
        loop.step()


@pytest.mark.parametrize("policy", POLICIES)
def test_a_higher_priority_takes_a_place_at_once_and_the_victim_loses_nothing(make_loop: Loops, policy: str) -> None:
    loop = make_loop(policy, max_running=2)
    lows = [loop.ask(loop.open([n, 1, 2, 3, 4, 5, 6]), max_new=20) for n in range(2)]
    _steps(loop, 6)
    written = {low: list(low.tokens) for low in lows}
    high = loop.ask(loop.open([7, 8, 9]), max_new=2, priority=1)
    loop.step()
    (victim,) = (low for low in lows if low.phase is Phase.WAITING)
    assert high in loop.plans[-1]
    assert loop.scheduler.num_preemptions == victim.num_preemptions == 1
    assert loop.scheduler.num_retractions == 0
    assert victim.tokens == written[victim]
    kept = loop.cache.match(victim.sequence, victim.tokens)
    assert kept >= len(victim.tokens) - 1 - 4  # all but the tail that filled no page
    loop.run()
    assert loop.ended[0] is high
    assert set(loop.ended) == {high, *lows}
    assert all(low.tokens[: len(written[low])] == written[low] for low in lows)
    loop.assert_clean()


@pytest.mark.parametrize("policy", POLICIES)
def test_equals_never_give_way_nor_do_the_better(make_loop: Loops, policy: str) -> None:
    loop = make_loop(policy, max_running=1)
    first = loop.ask(loop.open([1, 2]), max_new=10, priority=3)
    loop.step()
    others = [loop.ask(loop.open([n]), max_new=1, priority=priority) for n, priority in ((5, 3), (6, 2))]
    loop.run()
    assert loop.ended == [first, *others]
    assert loop.scheduler.num_preemptions == 0


def test_without_the_setting_nobody_gives_way(make_loop: Loops) -> None:
    loop = make_loop("fcfs", max_running=1, preemption=False)
    low = loop.ask(loop.open([1, 2]), max_new=10)
    loop.step()
    high = loop.ask(loop.open([5]), max_new=1, priority=9)
    loop.run()
    assert loop.ended == [low, high]


def test_the_lowest_priority_gives_way_and_of_equals_the_least_progressed(make_loop: Loops) -> None:
    loop = make_loop("fcfs", max_running=3)
    better = loop.ask(loop.open([1]), max_new=50, priority=2)
    old = loop.ask(loop.open([2]), max_new=50, priority=1)
    _steps(loop, 5)
    young = loop.ask(loop.open([3]), max_new=50, priority=1)
    loop.step()
    for victim in (young, old, better):
        loop.ask(loop.open([victim.tokens[0], 99]), max_new=90, priority=3)
        loop.step()
        assert victim.phase is Phase.WAITING
        assert loop.scheduler.num_preemptions == victim.num_preemptions + [young, old, better].index(victim)


def test_memory_is_taken_from_as_many_as_it_needs_and_no_more(make_loop: Loops) -> None:
    loop = make_loop("fcfs", num_pages=12, max_running=8, chunk=64)
    lows = [loop.ask(loop.open([n] * 9), max_new=3) for n in range(4)]  # three pages each: all there are
    loop.step()
    assert len(loop.scheduler.running) == 4
    high = loop.ask(loop.open(range(100, 120)), max_new=1, priority=1)  # five pages
    loop.step()
    assert high in loop.plans[-1]
    assert sum(low.phase is Phase.WAITING for low in lows) == 2
    loop.run()
    assert set(loop.ended) == {high, *lows}
    loop.assert_clean()


def test_nobody_gives_way_in_vain(make_loop: Loops) -> None:
    loop = make_loop("fcfs", num_pages=12, max_running=8, chunk=64)
    better = loop.ask(loop.open([1] * 30), max_new=9, priority=1)
    low = loop.ask(loop.open([1] * 28 + [2]), max_new=9)  # holds little that the better one does not hold too
    _steps(loop, 2)
    assert low.phase is Phase.RUNNING
    high = loop.ask(loop.open(range(100, 116)), max_new=1, priority=1)
    loop.step()
    assert high.phase is Phase.WAITING
    assert low.phase is Phase.RUNNING
    assert loop.scheduler.num_preemptions == 0
    loop.run()
    assert set(loop.ended) == {better, low, high}
    loop.assert_clean()


def test_an_idle_session_gives_way_before_a_request_does(make_loop: Loops) -> None:
    loop = make_loop("fcfs", num_pages=12, max_running=8, chunk=64)
    idle = loop.open(range(50, 74))
    assert loop.cache.reserve(idle.sequence, 24)
    idle.sequence.kv_len = 24
    low = loop.ask(loop.open([1] * 9), max_new=3)
    loop.step()
    high = loop.ask(loop.open(range(100, 120)), max_new=1, priority=1)
    loop.step()
    assert loop.plans[-1].keys() == {low, high}
    assert idle.sequence.pages == []
    assert loop.scheduler.num_preemptions == 0
    loop.run()


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("chunk", [4, 64])
def test_in_an_endless_stream_of_higher_priorities_the_victim_ends(make_loop: Loops, policy: str, chunk: int) -> None:
    loop = make_loop(policy, num_pages=24, max_running=1, chunk=chunk)
    low = loop.ask(loop.open([9] * 40), max_new=40)
    highs = 0
    for _ in range(20_000):
        loop.step()
        if low.phase is Phase.ENDED:
            break
        while sum(request.priority > 0 for request in loop.sessions) < 2:
            highs += 1
            loop.ask(loop.open([100 + highs % 7] * (1 + highs % 30)), max_new=1, priority=5)
    assert low in loop.ended
    assert low.num_preemptions >= 2
    assert low.num_preemptions <= 1 + 80 // LEAST_PROGRESS
    assert len(loop.ended) > PATIENCE, "the stream was meant to be served too"
    while loop.sessions:
        loop.step()
    loop.assert_clean()


def test_memory_is_first_taken_back_from_those_of_lower_priority(make_loop: Loops) -> None:
    """Else a request that has just taken its place would lose it again as the least progressed."""
    loop = make_loop("fcfs", num_pages=6, max_running=4, chunk=64)
    low = loop.ask(loop.open([1] * 7), max_new=12)
    _steps(loop, 2)
    high = loop.ask(loop.open([2] * 7), max_new=12, priority=1)
    loop.run()
    assert loop.ended == [high, low]
    assert high.num_retractions == 0
    assert low.num_retractions + low.num_preemptions >= 1


def test_a_prompt_of_lower_priority_does_not_hold_the_tokens_of_the_step(make_loop: Loops) -> None:
    for policy in POLICIES:
        loop = make_loop(policy, num_pages=200, chunk=16)
        low = loop.ask(loop.open(range(1000, 1300)), max_new=1)
        loop.step()
        high = loop.ask(loop.open(range(100, 120)), max_new=1, priority=1)
        loop.step()
        assert loop.plans[-1] == {high: 16}, policy
        equal = loop.ask(loop.open(range(200, 220)), max_new=1)
        loop.step()
        assert loop.plans[-1] == {high: 4, low: 12} or policy == "program", policy
        assert loop.plans[-1][high] == 4
        loop.run()
        assert set(loop.ended) == {low, high, equal}
        loop.assert_clean()


def test_whoever_was_given_a_place_in_this_step_keeps_it(make_loop: Loops) -> None:
    """On its turn the oldest comes before those of higher priority, who may not throw it out again in the same step."""
    loop = make_loop("fcfs", max_running=1)
    low = loop.ask(loop.open([9, 9]), max_new=3)
    for number in range(100):
        loop.ask(loop.open([number]), max_new=1, priority=1)
    started: list[Request] = []
    while low.phase is Phase.WAITING:
        loop.step()
        started += loop.plans[-1]
    assert started[-1] is low
    assert loop.plans[-1] == {low: 2}
    loop.run()
    loop.assert_clean()
