from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import sgdsl as sg
from sgdsl.dropping import when_dropped
from sgdsl.process import loop
from sgdsl.run import Run


class Owner:
    def __init__(self) -> None:
        self.target: Target | None = None


class Target:
    def __init__(self) -> None:
        self.done = threading.Event()


def drained() -> None:
    """Whatever was posted to the loop before has run."""
    passed = threading.Event()
    loop().post(passed.set)
    assert passed.wait(5)


def test_the_target_is_acted_on_when_the_owner_is_gone() -> None:
    owner, target = Owner(), Target()
    when_dropped(owner, loop(), target, lambda found: found.done.set())
    drained()
    assert not target.done.is_set()
    del owner
    assert target.done.wait(5)


def test_a_target_that_leads_back_to_its_owner_goes_with_it() -> None:
    owner, target = Owner(), Target()
    acted: list[object] = []
    when_dropped(owner, loop(), target, acted.append)
    target.owner, owner.target = owner, target  # type: ignore[attr-defined]
    gone = weakref.ref(target)
    del owner, target
    gc.collect()
    drained()
    assert gone() is None
    assert acted == []


def test_failed_programs_with_forks_leave_nothing_behind() -> None:
    mock = sg.Mock(lambda prompt, params: OSError("gone"))

    @sg.function
    def program(s: sg.ProgramState) -> None:
        forks = s.fork(2)
        forks += sg.gen("x")
        forks.join()
        s["x"]

    before = set(map(id, runs()))
    results = program.run_batch([()] * 5, backend=mock, return_exceptions=True)
    assert all(isinstance(result, sg.ProgramError) for result in results)
    del results
    for _ in range(50):
        drained()
        if not [run for run in runs() if id(run) not in before]:
            return
    assert not [run for run in runs() if id(run) not in before]


def runs() -> list[Run]:
    gc.collect()
    return [found for found in gc.get_objects() if type(found) is Run]


@sg.function
def endless(s: sg.ProgramState) -> None:
    s += "this is " + sg.gen("x", 1500, ignore_eos=True)


@sg.function
def failing(s: sg.ProgramState) -> None:
    forks = s.fork(3)
    forks += "yes or " + sg.gen("x", 1500, ignore_eos=True)
    raise LookupError("mine")


def leave_a_stream(engine: Any) -> None:
    pieces = endless.run(backend=engine, stream=True).text_iter()
    assert (next(pieces), len(next(pieces)) > 0) == ("this is ", True)


def leave_an_awaited_stream(engine: Any) -> None:
    async def read() -> None:
        state = await endless.arun(backend=engine, stream=True)
        async for _ in state.text_async_iter("x"):
            break

    asyncio.run(read())


def leave_a_batch(engine: Any) -> None:
    results = sg.function(read_one).run_batch([()] * 20, backend=engine, num_threads=3, generator_style=True)
    next(iter(results))


def read_one(s: sg.ProgramState) -> None:
    s += "one " + sg.gen("x", 3, ignore_eos=True)
    s["x"]


def raise_inside(engine: Any) -> None:
    with pytest.raises(LookupError, match="mine"):
        failing.run(backend=engine)


def raise_while_reading(engine: Any) -> None:
    def read() -> None:
        for _ in endless.run(backend=engine, stream=True).text_iter("x"):
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        read()


def run_out_of_time(engine: Any) -> None:
    with pytest.raises(sg.ProgramTimeout):
        endless.run(backend=engine, timeout=0.05)


@pytest.mark.parametrize(
    "leave",
    [leave_a_stream, leave_an_awaited_stream, leave_a_batch, raise_inside, raise_while_reading, run_out_of_time],
)
def test_whatever_is_left_half_way_gives_its_kv_back(
    leave: Callable[[Any], None], tiny_engine: Any, is_idle: Callable[[Any], bool], settles: Callable[..., bool]
) -> None:
    leave(tiny_engine)
    gc.collect()
    assert settles(lambda: is_idle(tiny_engine))


def test_a_cancelled_program_gives_its_kv_back_before_its_function_returns(
    tiny_engine: Any, is_idle: Callable[[Any], bool], settles: Callable[..., bool]
) -> None:
    begun, woken = threading.Event(), threading.Event()

    @sg.function
    def busy(s: sg.ProgramState) -> None:
        forks = s.fork(2)
        forks += "the " + sg.gen("x", 1500, ignore_eos=True)
        begun.set()
        woken.wait(20)

    state = busy.run(backend=tiny_engine, stream=True)
    assert begun.wait(5)
    state.cancel()
    try:
        assert settles(lambda: is_idle(tiny_engine))
        assert not state._stream.run.is_over
    finally:
        woken.set()
