"""What a step's offer of places comes to: what stopped it, and whole gangs."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.hint import Hint
from runtime.request import Phase
from runtime.scheduler.plan import Limit
from runtime.scheduler.policies import POLICIES

Loops = Any
every_policy = pytest.mark.parametrize("policy", POLICIES)


@every_policy
def test_where_nobody_waits_nothing_limits(make_loop: Loops, policy: str) -> None:
    loop = make_loop(policy)
    loop.ask(loop.open([1, 2]))
    assert [loop.step().limit for _ in range(3)] == [None] * 3


@every_policy
def test_the_places_are_told_apart_from_the_memory(make_loop: Loops, policy: str) -> None:
    loop = make_loop(policy, max_running=2)
    for number in range(3):
        loop.ask(loop.open([number, 1]), max_new=8)
    assert loop.step().limit is Limit.PLACES
    assert loop.step().limit is Limit.PLACES
    loop = make_loop(policy, num_pages=4, chunk=64)
    for number in range(3):
        loop.ask(loop.open([number] * 7), max_new=2)
    assert loop.step().limit is Limit.MEMORY
    assert loop.step().limit is Limit.MEMORY


@every_policy
def test_the_tokens_of_the_step(make_loop: Loops, policy: str) -> None:
    loop = make_loop(policy, chunk=8)
    loop.ask(loop.open(range(100, 120)))
    loop.ask(loop.open(range(200, 204)))
    assert loop.step().limit is Limit.TOKENS
    assert loop.step().limit is Limit.TOKENS


@every_policy
def test_a_prefix_that_another_computes(make_loop: Loops, policy: str) -> None:
    loop = make_loop(policy, chunk=8)
    loop.ask(loop.open(range(100, 112)))
    loop.step()
    loop.ask(loop.open([*range(100, 112), 7]))
    loop.ask(loop.open([*range(100, 112), 8]))
    assert loop.step().limit is Limit.PREFIX


@every_policy
def test_what_is_on_its_way_from_below(make_loop: Loops, policy: str) -> None:
    loop = make_loop(policy)
    arrived = []
    loop.scheduler._admission._tiers = type("Tiers", (), {"prefetch": lambda self, request: bool(arrived)})()
    request = loop.ask(loop.open([1, 2, 3]))
    plan = loop.scheduler.plan()
    assert (plan.limit, list(plan.work)) == (Limit.TIERS, [])
    arrived.append(True)
    loop.scheduler._admission._tiers = None
    assert loop.step().limit is None
    assert loop.first(request) == 0


def test_a_document_that_has_its_turn_is_a_limit_of_tokens(make_loop: Loops) -> None:
    loop = make_loop("program", num_pages=600)
    loop.ask(loop.open(range(1000, 1100)))
    loop.step()
    loop.ask(loop.open(range(2000, 2100)))
    assert loop.step().limit is Limit.TOKENS


def test_what_was_just_taken_back_is_a_limit_of_memory(make_loop: Loops) -> None:
    loop = make_loop("fcfs", num_pages=6, chunk=64)
    loop.ask(loop.open([1] * 3), max_new=20)
    for _ in range(4):
        loop.step()
    loop.scheduler.estimate.ratio = 0.1
    loop.ask(loop.open([2] * 3), max_new=20)
    limits = []
    for _ in range(30):
        limits.append(loop.step().limit)
        if loop.scheduler.num_retractions:
            break
    assert loop.scheduler.num_retractions == 1
    assert limits[-1] is Limit.MEMORY
    loop.run()


@every_policy
def test_forks_of_an_uncached_prefix_decode_from_the_same_step_on(make_loop: Loops, policy: str) -> None:
    loop = make_loop(policy, max_running=9, chunk=16)
    others = [loop.ask(loop.open([n, n, n]), max_new=30) for n in range(1)]
    parent = loop.open(range(100, 140))
    prefix = loop.ask(parent, max_new=0)
    while prefix.phase is not Phase.ENDED:
        loop.step()
    assert sum(plan.get(prefix, 0) for plan in loop.plans) == 40
    gang = [loop.ask(loop.open([*range(100, 140), 60 + i], parent.run), 4, Hint(gang=1)) for i in range(8)]
    loop.step()
    assert [loop.plans[-1][branch] for branch in gang] == [1] * 8
    assert [branch.num_output for branch in gang] == [1] * 8
    loop.run()
    assert set(loop.ended) == {prefix, *gang, *others}
    loop.assert_clean()


@every_policy
def test_a_prefix_that_comes_many_times_at_once_is_filled_once_and_then_all_go_on_together(
    make_loop: Loops, policy: str
) -> None:
    loop = make_loop(policy, max_running=8, chunk=16)
    branches = [loop.ask(loop.open([*range(100, 140), i]), max_new=6) for i in range(8)]
    loop.run()
    firsts = [loop.first(branch) for branch in branches]
    assert firsts == [0, *[firsts[1]] * 7]
    assert firsts[1] <= 3  # the step after the one that completed the prefix
    loop.assert_clean()


@every_policy
def test_no_place_stays_empty_for_a_gang_that_does_not_fit_whole(make_loop: Loops, policy: str) -> None:
    """Its first branches are served at once: places that wait for the others would serve nobody."""
    loop = make_loop(policy, max_running=4)
    parent = loop.open([1, 2, 3, 4])
    loop.ask(parent, max_new=0)
    loop.step()
    gang = [loop.ask(loop.open([1, 2, 3, 4, 60 + i], parent.run), 4, Hint(gang=1)) for i in range(6)]
    others = [loop.ask(loop.open([90 + i]), max_new=4) for i in range(2)]
    loop.step()
    assert loop.plans[-1].keys() == set(gang[:4])
    loop.run()
    assert set(loop.ended) >= {*gang, *others}
    if policy == "program":  # what is started is finished: the others come after all of it
        assert max(map(loop.first, gang)) <= min(map(loop.first, others))
    loop.assert_clean()


def test_a_gang_stays_together_when_a_place_short_and_memory_take_turns(make_loop: Loops) -> None:
    """Strangers that came before do not stand between the branches of one parent."""
    loop = make_loop("program", max_running=4, chunk=64)
    running = loop.ask(loop.open([5, 5]), max_new=3)
    parent = loop.open(range(100, 116))
    loop.ask(parent, max_new=0)
    loop.step()
    strangers = [loop.ask(loop.open([70 + i]), max_new=2) for i in range(6)]
    gang = [loop.ask(loop.open([*range(100, 116), i], parent.run), 4, Hint(gang=1)) for i in range(3)]
    loop.step()
    assert len({loop.first(branch) for branch in gang}) == 1
    assert running in loop.plans[-1]
    assert not set(strangers) & loop.plans[-1].keys()
    loop.run()
    loop.assert_clean()
