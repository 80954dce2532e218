"""A team: every part is computed once, in threads that really run at the same time, however often and from wherever."""

from __future__ import annotations

import gc
import random
import threading
import time
from typing import Any, cast

import numpy as np
import pytest
from numba import types

from runtime.kernel_cache import compile_part
from runtime.parallel import atomics
from runtime.parallel.job import job_type
from runtime.parallel.team import Team, team_of
from runtime.parallel.team_kernels import JOB_AT, STAMP, claim, finish, wait

JOB = job_type(["phases", "parts", "values", "times"])
MODULUS = 1_000_003


def relay(thread: int, threads: int, team: int, turn: int) -> None:
    """Every part of a phase adds up what all parts of the phase before it came to."""
    STAMP  # noqa: B018
    own = atomics.carray(atomics.pointer(turn + JOB_AT), 1, JOB)[0]
    phases, parts = own.phases, own.parts
    values = atomics.carray(atomics.pointer(own.values), (phases, parts), np.int64)
    times = atomics.carray(atomics.pointer(own.times), (phases, parts), np.int64)
    for phase in range(phases):
        part = claim(turn, phase)
        while part < parts:
            total = part + 1
            if phase > 0:
                for other in range(parts):
                    total += values[phase - 1, other] * (other + 1)
            values[phase, part] = total % MODULUS
            times[phase, part] += 1
            finish(team, turn, phase, parts)
            part = claim(turn, phase)
        wait(team, turn, thread, phase, parts)


@pytest.fixture(scope="module")
def function() -> Any:
    return compile_part(relay, types.void(*([types.int64] * 4)))


def run(team: Team, function: Any, phases: int, parts: int = 5) -> list[list[int]]:
    values, times = np.zeros((phases, parts), np.int64), np.zeros((phases, parts), np.int64)
    job = np.zeros(1, JOB)
    job["phases"], job["parts"], job["values"], job["times"] = phases, parts, values.ctypes.data, times.ctypes.data
    team.run(function.address, job, phases)
    assert (times == 1).all()
    return cast("list[list[int]]", values.tolist())


def expected(phases: int, parts: int = 5) -> list[list[int]]:
    rows: list[list[int]] = []
    for phase in range(phases):
        before = sum(value * (i + 1) for i, value in enumerate(rows[-1])) if phase else 0
        rows.append([(before + part + 1) % MODULUS for part in range(parts)])
    return rows


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
def test_a_phase_sees_what_all_parts_of_the_one_before_wrote(threads: int, function: Any) -> None:
    team = Team(threads)
    try:
        for phases in (0, 1, 7, 400):
            for parts in (1, 2, 13):
                assert run(team, function, phases, parts) == expected(phases, parts)
    finally:
        team.close()


def test_work_is_found_awake_and_asleep(function: Any) -> None:
    team, chance = Team(3), random.Random(1)
    try:
        for _ in range(500):
            time.sleep(chance.choice((0.0, 0.0, 1e-5, 3e-5, 1e-4, 1e-3)))
            assert run(team, function, 9) == expected(9)
    finally:
        team.close()


def test_several_callers_take_turns(function: Any) -> None:
    team, results = Team(2), []

    def call() -> None:
        results.extend(run(team, function, 20) for _ in range(50))

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert results == [expected(20)] * 200
    team.close()


def test_what_a_turn_has_no_room_for_is_refused(function: Any) -> None:
    with pytest.raises(ValueError, match="5000 phases"):
        team_of(1).run(function.address, np.zeros(1, JOB), 5000)
    with pytest.raises(ValueError, match="8000 bytes"):
        team_of(1).run(function.address, np.zeros(1000, np.int64))


def names() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("sgdsl-team-9")]


def test_threads_end_with_their_team(function: Any) -> None:
    for ends in (lambda team: team.close(), lambda team: None):
        team = Team(10)
        assert run(team, function, 2) == expected(2)
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
