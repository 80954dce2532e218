from __future__ import annotations

import math
from typing import Any

import pytest

from runtime.memory.cache import PrefixCache
from runtime.request import Phase, Request
from runtime.scheduler.deadlines import MOST_WAITING, SPARE, Deadlines
from runtime.scheduler.policies import POLICIES

Loops = Any


class Clock:
    def __init__(self, now: float = 100.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def _request(deadline: float, phase: Phase = Phase.WAITING) -> Request:
    sequence = PrefixCache(2, 1).open()
    return Request(tokens=[1], sequence=sequence, prompt_len=1, max_length=2, deadline=deadline, phase=phase)


def _deadlines(clock: Clock, *requests: Request) -> Deadlines:
    deadlines = Deadlines(clock)
    for request in requests:
        deadlines.add(request)
    return deadlines


def test_a_timeout_counts_from_now_and_none_is_no_deadline() -> None:
    deadlines = Deadlines(Clock(100.0))
    assert deadlines.after(2.5) == 102.5
    assert deadlines.after(None) == math.inf


def test_those_whose_time_is_up_are_found_once_the_earliest_first() -> None:
    clock = Clock()
    late, early, never = _request(103.0), _request(101.0), _request(math.inf)
    running = [_request(102.0, Phase.RUNNING), _request(math.inf, Phase.RUNNING)]
    deadlines = _deadlines(clock, late, early, never, *running)
    assert deadlines.passed(running) == []
    clock.now = 102.0
    assert deadlines.passed(running) == [running[0], early]
    running[0].phase = Phase.ENDED
    clock.now = 500.0
    assert deadlines.passed(running[1:]) == [late]
    assert deadlines.passed(running[1:]) == []


def test_a_clock_that_goes_back_makes_nobody_wait_longer_and_nobody_late() -> None:
    clock = Clock()
    request = _request(110.0)
    deadlines = _deadlines(clock, request)
    clock.now = -1e9
    assert deadlines.after(5.0) == 5.0 - 1e9  # nothing was asked before: there is no time to go back from
    clock.now = 109.0
    assert deadlines.passed([]) == []
    clock.now = 50.0
    assert deadlines.after(1.0) == 110.0
    assert deadlines.seconds_left() == 1.0
    clock.now = 110.0
    assert deadlines.passed([]) == [request]


def test_of_many_who_wait_a_step_ends_a_part_but_all_of_those_who_run() -> None:
    clock = Clock()
    waiting = [_request(101.0) for _ in range(3 * MOST_WAITING)]
    running = [_request(101.0, Phase.RUNNING) for _ in range(200)]
    deadlines = _deadlines(clock, *waiting, *running)
    clock.now = 200.0
    assert deadlines.passed(running) == [*running, *waiting[:MOST_WAITING]]
    assert deadlines.passed([]) == waiting[MOST_WAITING : 2 * MOST_WAITING]


def test_it_says_how_long_until_the_next_one() -> None:
    clock = Clock()
    deadlines = Deadlines(clock)
    assert deadlines.seconds_left() is None
    request = _request(107.0)
    deadlines.add(request)
    assert deadlines.seconds_left() == 7.0
    clock.now = 300.0
    assert deadlines.seconds_left() == 0.0
    deadlines.lift(request)
    assert deadlines.passed([]) == []


def test_whoever_has_ended_is_forgotten_long_before_its_deadline() -> None:
    deadlines = _deadlines(Clock())
    for _ in range(10 * SPARE):
        request = _request(1e9)
        deadlines.add(request)
        request.phase = Phase.ENDED
        deadlines.remove(request)
    assert len(deadlines._heap) <= SPARE + 1


@pytest.mark.parametrize("policy", POLICIES)
def test_the_late_end_where_they_stand_and_hold_nothing(make_loop: Loops, policy: str) -> None:
    loop = make_loop(policy, max_running=2)
    requests = [loop.ask(loop.open([n, 1, 2, 3, 4]), max_new=30, deadline=deadline) for n, deadline in
                enumerate((5.0, math.inf, 3.0, math.inf))]  # fmt: skip
    for _ in range(4):
        loop.step()
        loop.now += 1
    assert loop.late == [requests[2]]  # while it waited
    loop.now = 5.0
    loop.step()
    assert loop.late == [requests[2], requests[0]]
    assert requests[3].phase is Phase.RUNNING  # in the very step, in the place of the one that was late
    loop.run()
    assert set(loop.ended) == {requests[1], requests[3]}
    loop.assert_clean()


def test_whoever_is_late_is_given_no_place_even_where_it_is_not_ended_yet(make_loop: Loops) -> None:
    loop = make_loop("fcfs", max_running=4)
    late = [loop.ask(loop.open([n]), deadline=1.0) for n in range(3 * MOST_WAITING)]
    fresh = loop.ask(loop.open([7, 7]))
    loop.now = 2.0
    loop.step()
    assert loop.plans[-1].keys() == {fresh}
    assert len(loop.late) == MOST_WAITING
    loop.run()
    assert set(loop.late) == set(late)
    assert loop.ended == [fresh]
    loop.assert_clean()


@pytest.mark.parametrize("policy", ["lpm", "dfs-weight", "priority", "program"])
def test_of_equals_the_one_with_the_earlier_deadline_goes_first(make_loop: Loops, policy: str) -> None:
    loop = make_loop(policy, max_running=1)
    run = loop.open([9]).run
    deadlines = (900.0, math.inf, 700.0, 800.0)
    requests = [loop.ask(loop.open([n], run), 1, deadline=deadline) for n, deadline in enumerate(deadlines)]
    loop.run()
    assert [requests.index(request) for request in loop.ended] == [2, 3, 0, 1]


def test_ten_thousand_pass_at_once_and_no_step_ends_more_than_its_part(make_loop: Loops) -> None:
    loop = make_loop("lpm", max_running=8)
    loop.table.audit = lambda: None
    going_on = loop.ask(loop.open([1, 2, 3]), max_new=200)
    loop.step()
    for number in range(10_000):
        loop.ask(loop.open([number % 90]), deadline=1.0)
    loop.now = 1.0
    for _ in range(10_000 // MOST_WAITING):
        before = len(loop.late)
        loop.step()
        assert len(loop.late) - before == MOST_WAITING
        assert loop.plans[-1] == {going_on: 1}
    loop.run()
    assert len(loop.late) == 10_000
    assert loop.ended == [going_on]
    loop.assert_clean()
