"""Programs in the scheduler: gangs, what is started, long prompts; and that nobody starves under any policy."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.hint import Hint
from runtime.program_run import ProgramRun
from runtime.request import Phase
from runtime.scheduler.policies import PATIENCE, POLICIES, PROGRAM_PATIENCE
from runtime.scheduler.scheduler import FEW_DECODES, LONG_PROMPT, MOST_STEPS_HELD

Loops = Any


def test_a_gang_fills_its_prefix_once_and_then_runs_in_one_batch(make_loop: Loops) -> None:
    loop = make_loop("program", max_running=6, chunk=64)
    parent = loop.open(range(100, 132))
    loop.ask(parent, max_new=0)
    loop.step()
    strangers = [loop.ask(loop.open([i, i]), max_new=8) for i in range(3)]
    gang = [loop.ask(loop.open([*range(100, 132), i], parent.run), 4, Hint(gang=1)) for i in range(4)]
    loop.step()
    assert {loop.first(request) for request in gang} == {1}
    assert [loop.plans[1][request] for request in gang] == [1, 1, 1, 1]
    assert sum(request.phase is Phase.RUNNING for request in strangers) == 2
    loop.run()
    loop.assert_clean()


def test_the_next_gen_of_a_started_program_goes_before_a_new_program(make_loop: Loops) -> None:
    loop = make_loop("program", max_running=1)
    run = ProgramRun("p")
    first = loop.ask(loop.open([1, 2, 3], run))
    new = loop.ask(loop.open([4, 5, 6]))
    loop.step()
    following = loop.ask(loop.open([1, 2, 3, 9], run))
    loop.run()
    assert loop.ended == [first, following, new]
    loop.assert_clean()


def test_the_longest_branch_of_a_gang_goes_first(make_loop: Loops) -> None:
    loop = make_loop("program", max_running=1)
    run = ProgramRun("p")
    branches = [loop.ask(loop.open([i], run), 3, Hint(gang=1, remaining_tokens=rest)) for i, rest in enumerate((5, 80))]
    loop.run()
    assert loop.ended == branches[::-1]


def test_a_long_prompt_gives_way_to_decodes_and_has_its_turn(make_loop: Loops) -> None:
    loop = make_loop("program", num_pages=600)
    for number in range(FEW_DECODES):
        loop.ask(loop.open([1000 + number]), max_new=200)
    loop.step()
    long = loop.ask(loop.open(range(16 * LONG_PROMPT + 100)), max_new=1)
    loop.step()
    assert loop.plans[-1][long] == 16  # its first part is computed when it gets its place
    for _ in range(MOST_STEPS_HELD):
        loop.step()
        assert long not in loop.plans[-1]
        assert len(loop.plans[-1]) == FEW_DECODES
    loop.step()
    assert loop.plans[-1][long] == 16
    quick = loop.ask(loop.open([7, 8, 9]), max_new=1)
    also_long = loop.ask(loop.open(range(5000, 5100)), max_new=1)
    loop.step()
    assert loop.plans[-1][quick] == 3
    assert also_long.phase is Phase.WAITING
    loop.run()
    assert {long, also_long} <= set(loop.ended)
    loop.assert_clean()


def test_a_long_prompt_runs_at_full_speed_beside_few_decodes(make_loop: Loops) -> None:
    loop = make_loop("program", num_pages=600)
    loop.ask(loop.open([1000]), max_new=100)
    long = loop.ask(loop.open(range(160)), max_new=1)
    for _ in range(10):
        loop.step()
    assert sum(plan.get(long, 0) for plan in loop.plans) > 150
    loop.run()


@pytest.mark.parametrize("policy", POLICIES)
def test_nobody_starves_behind_those_whom_the_policy_likes_better(make_loop: Loops, policy: str) -> None:
    loop = make_loop(policy, max_running=1, num_pages=128)
    run = ProgramRun("started", num_started=1)
    loop.ask(loop.open([1, 1, 1, 1, 1]), max_new=0)  # a prefix that is cached from here on
    loop.run()
    loop.ask(loop.open([1, 1, 1, 1, 0], run), max_new=1)
    old = loop.ask(loop.open([90, 91, 92]), max_new=1)
    patience = PROGRAM_PATIENCE if policy == "program" else PATIENCE
    for number in range(4 * patience):
        loop.ask(loop.open([1, 1, 1, 1, number], run), max_new=1)
        loop.step()
        if old in loop.ended:
            break
    assert old in loop.ended
    assert len(loop.ended) <= patience + 4
    loop.run()
    loop.assert_clean()


@pytest.mark.parametrize("policy", POLICIES)
def test_ten_thousand_wait_and_all_are_served(make_loop: Loops, policy: str) -> None:
    loop = make_loop(policy, max_running=512, num_pages=4096, chunk=4096)
    loop.table.audit = lambda: None
    requests = {loop.ask(loop.open([i % 7, i]), max_new=1, priority=i % 3) for i in range(10_000)}
    loop.run(most=60)
    assert set(loop.ended) == requests
    loop.assert_clean()
