"""A team: every part is computed once, in threads that really run at the same time, however often and from wherever."""

from __future__ import annotations

import gc
import random
import threading
import time
from typing import Any

import numpy as np
import pytest
from numba import types

from runtime.kernel_cache import compile_part
from runtime.parallel import atomics
from runtime.parallel.job import job_type
from runtime.parallel.team import Team, team_of
from runtime.parallel.team_kernels import STAMP, meet

JOB = job_type(["rounds", "counts", "sums"])


def relay(part: int, threads: int, team: int, job: int) -> None:
    """In every round each part adds what its neighbour counted in the round before, and counts on."""
    STAMP  # noqa: B018
    own = atomics.carray(atomics.pointer(job), 1, JOB)[0]
    counts = atomics.carray(atomics.pointer(own.counts), threads, np.int64)
    sums = atomics.carray(atomics.pointer(own.sums), threads, np.int64)
    for _ in range(own.rounds):
        sums[part] += counts[(part + 1) % threads]
        meet(team)
        counts[part] += part + 1
        meet(team)


@pytest.fixture(scope="module")
def function() -> Any:
    return compile_part(relay, types.void(*([types.int64] * 4)))


def run(team: Team, function: Any, rounds: int) -> tuple[list[int], list[int]]:
    counts, sums = np.zeros(team.threads, np.int64), np.zeros(team.threads, np.int64)
    job = np.zeros(1, JOB)
    job["rounds"], job["counts"], job["sums"] = rounds, counts.ctypes.data, sums.ctypes.data
    team.run(function.address, job.ctypes.data)
    return counts.tolist(), sums.tolist()


def expected(threads: int, rounds: int) -> tuple[list[int], list[int]]:
    steps = rounds * (rounds - 1) // 2
    parts = [part + 1 for part in range(threads)]
    return [rounds * count for count in parts], [steps * parts[(i + 1) % threads] for i in range(threads)]


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
def test_what_one_thread_wrote_before_a_barrier_is_seen_by_all_after_it(threads: int, function: Any) -> None:
    team = Team(threads)
    try:
        for rounds in (0, 1, 7, 200):
            assert run(team, function, rounds) == expected(threads, rounds)
    finally:
        team.close()


def test_work_is_found_awake_and_asleep(function: Any) -> None:
    team, chance = Team(2), random.Random(1)
    try:
        for _ in range(300):
            time.sleep(chance.choice((0.0, 0.0, 1e-5, 3e-5, 1e-4, 1e-3)))
            assert run(team, function, 3) == expected(2, 3)
    finally:
        team.close()


def test_several_callers_take_turns(function: Any) -> None:
    team, results = Team(2), []

    def call() -> None:
        results.extend(run(team, function, 20) for _ in range(30))

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert results == [expected(2, 20)] * 120
    team.close()


def names() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("sgdsl-team-9")]


def test_threads_end_with_their_team(function: Any) -> None:
    for ends in (lambda team: team.close(), lambda team: None):
        team = Team(10)
        assert run(team, function, 2) == expected(10, 2)
        assert names() == ["sgdsl-team-9"]
        ends(team)
        del team
        gc.collect()
        end = time.monotonic() + 20
        while names() and time.monotonic() < end:
            time.sleep(0.01)
        assert names() == []


@pytest.mark.parametrize("threads", [0, -1, 257])
def test_a_team_of_a_strange_size_is_refused(threads: int) -> None:
    with pytest.raises(ValueError, match=f"threads={threads} is not allowed: 1 to 256"):
        Team(threads)


def test_a_size_has_one_team() -> None:
    assert team_of(2) is team_of(2)
