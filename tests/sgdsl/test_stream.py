from __future__ import annotations

import time
from typing import Any

import pytest

import sgdsl as sg

DEPTH = 1200


def open_sessions(mock: sg.Mock, expected: int) -> int:
    """Waits up to some seconds for that many."""
    deadline = time.monotonic() + 5
    while mock.num_open != expected and time.monotonic() < deadline:
        time.sleep(0.001)
    return mock.num_open


@pytest.mark.parametrize("reading", [False, True])
def test_a_fork_whose_forks_closed_first_gives_its_session_up(mock: sg.Mock, reading: bool) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> int:
        for _ in range(10):
            child = s.fork(1)[0]
            child += "a"
            grandchild = child.fork(1)[0]
            grandchild += "b" + sg.gen("x")
            if reading:
                grandchild["x"]
                open_sessions(mock, 3)
            del grandchild
            open_sessions(mock, 2)
            del child
        return open_sessions(mock, 1)

    assert program.run(backend=mock).ret_value == 1


def test_forks_dropped_before_they_are_handed_over_give_their_sessions_up(mock: sg.Mock) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> int:
        s += "a"
        for _ in range(5):
            s.fork(3)
        s += sg.gen("x")
        s["x"]
        return open_sessions(mock, 1)

    assert program.run(backend=mock).ret_value == 1


def test_forks_of_a_dropped_fork_still_end_with_the_parent(gate: Any) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        child = s.fork(1)[0]
        grandchild = child.fork(1)[0]
        s._stream.run.flush()
        del child
        deadline = time.monotonic() + 5
        while len(s._stream.run.streams) > 2 and time.monotonic() < deadline:
            time.sleep(0.001)
        assert list(s._stream.children) == [grandchild._stream]
        grandchild += sg.gen("held")
        s._stream.fail(sg.ProgramError("parent"))
        with pytest.raises(sg.ProgramError, match="parent"):
            grandchild["held"]

    program.run(backend=sg.Mock({"held": gate}))


def nested_forks(s: sg.ProgramState, *, joined: bool) -> list[sg.ProgramState]:
    states = [s]
    for _ in range(DEPTH):
        group = states[-1].fork(1)
        if joined:
            group.join("none")
        states.append(group[0])
    return states


@pytest.mark.parametrize("joined", [False, True])
def test_a_users_error_ends_deeply_nested_forks(mock: sg.Mock, joined: bool) -> None:
    kept: list[sg.ProgramState] = []

    @sg.function
    def program(s: sg.ProgramState) -> None:
        kept.extend(nested_forks(s, joined=joined))
        kept[-1].__iadd__(sg.gen("x"))
        raise ValueError("the user's")

    with pytest.raises(ValueError, match="the user's"):
        program.run(backend=mock)
    with pytest.raises(sg.ProgramError, match="the user's"):
        kept[-1].get_var("x", timeout=5)
    assert mock.num_open == 0


def test_a_failure_climbs_through_deeply_nested_joins() -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        states = nested_forks(s, joined=True)
        states[-1].__iadd__(sg.gen("x"))
        states[-1].error()
        with pytest.raises(sg.ProgramError, match="gone"):
            s.sync()

    program.run(backend=sg.Mock({"x": OSError("gone")}))
