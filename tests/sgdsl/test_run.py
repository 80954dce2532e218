from __future__ import annotations

import gc
import time
import weakref
from typing import Any

import pytest

import sgdsl as sg
from sgdsl.run import Run, current_run
from sgdsl.sampling import Sampling


@sg.function
def inner(s: sg.ProgramState, number: int = 0) -> str:
    s += str(number) + sg.gen("x")
    return str(s["x"])


def this_run() -> Run:
    run = current_run()
    assert run is not None
    return run


def test_a_program_called_in_a_cancelled_one_does_not_start(mock: sg.Mock) -> None:
    entered: list[int] = []

    @sg.function
    def called(s: sg.ProgramState) -> None:
        entered.append(1)

    @sg.function
    async def awaited(s: sg.ProgramState) -> None:
        entered.append(2)

    @sg.function
    def outer(s: sg.ProgramState) -> None:
        s.cancel()
        for program in (called, awaited):
            with pytest.raises(sg.ProgramCancelled, match="outer was cancelled"):
                program()

    with pytest.raises(sg.ProgramCancelled):
        outer.run(backend=mock)
    assert entered == []


def test_a_program_adopted_by_one_that_is_over_is_cancelled(mock: sg.Mock) -> None:
    late = inner.start(mock, Sampling())
    outer = Run("outer", mock, late.loop)
    outer.close()
    outer.adopt(late)
    assert isinstance(late.error, sg.ProgramCancelled)
    assert not outer.nested


def test_batches_of_an_ended_program_stop() -> None:
    mock = sg.Mock(latency=0.1)
    entered: list[int] = []

    @sg.function
    def item(s: sg.ProgramState, number: int) -> None:
        entered.append(number)
        s += str(number) + sg.gen("x")

    @sg.function
    def outer(s: sg.ProgramState) -> None:
        item.run_batch([(number,) for number in range(40)], num_threads=2, return_exceptions=True)
        entered.append(-1)

    with pytest.raises(sg.ProgramTimeout, match="outer took longer"):
        outer.run(backend=mock, timeout=0.3)
    time.sleep(0.3)
    assert len(entered) <= 12
    assert -1 not in entered
    assert mock.num_open == 0


def test_called_programs_are_let_go_when_they_end(mock: sg.Mock) -> None:
    alive: weakref.WeakSet[Run] = weakref.WeakSet()

    @sg.function
    def called(s: sg.ProgramState) -> None:
        alive.add(this_run())
        s += sg.gen("x")

    @sg.function
    def outer(s: sg.ProgramState) -> tuple[int, int]:
        for _ in range(50):
            called()
        deadline = time.monotonic() + 5  # the loop may look at the last ones for some milliseconds
        while gc.collect() >= 0 and alive and time.monotonic() < deadline:
            time.sleep(0.005)
        return len(this_run().nested), len(alive)

    state = outer.run(backend=mock)
    assert state.ret_value == (0, 0)
    assert state.usage().gens == 50


def test_a_long_program_keeps_no_dropped_forks(mock: sg.Mock) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> tuple[Any, ...]:
        for _ in range(100):
            with s.fork(2) as forks:
                forks += "a" + sg.gen("x")
            s["x"]
            del forks
        run, main = this_run(), s._stream
        deadline = time.monotonic() + 5
        while len(run.streams) > 1 and time.monotonic() < deadline:
            time.sleep(0.001)
        return len(run.streams), len(main.children), len(main.trail), run.num_streams

    assert program.run(backend=mock).ret_value == (1, 0, 0, 201)


def test_reads_do_not_walk_the_streams(mock: sg.Mock) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> str:
        forks, run = s.fork(50), this_run()
        forks += sg.gen("x")
        for fork in forks:
            fork.sync()
        streams, run.streams = run.streams, type(run.streams)()
        try:
            forks[7].__iadd__(sg.gen("y"))
            return str(forks[7].get_var("y", timeout=2))
        finally:
            run.streams = streams

    assert program.run(backend=mock).ret_value == "mock"


def test_the_failure_of_a_dropped_fork_is_still_raised() -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        s.fork(1)[0].__iadd__(sg.gen("a"))
        deadline = time.monotonic() + 5
        while len(this_run().streams) > 1 and time.monotonic() < deadline:
            time.sleep(0.001)
        assert len(this_run().streams) == 1

    mock = sg.Mock({"a": OSError("gone")})
    with pytest.raises(sg.ProgramError, match='gen "a": gone'):
        program.run(backend=mock)
    assert mock.num_open == 0
