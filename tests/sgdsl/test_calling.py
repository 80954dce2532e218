"""Graphs that call programs: what is left of them when something ends early."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

import sgdsl as sg
from sgdsl.errors import BackendCapabilityError, ProgramCancelled, ProgramError, ProgramTimeout


@sg.function
def inner(s: sg.ProgramState, text: str, priority: int | None = None) -> Any:
    with s.fork(2) as group:
        group += text + sg.gen("x", priority=priority)
    s += s["x"][0] + sg.gen("y")
    return {"y": s["y"], "all": s["x"]}


@sg.function
def middle(s: sg.ProgramState, text: str) -> Any:
    return inner(text + "!")["y"] + inner(text)["all"][1]


@sg.function
def outer(s: sg.ProgramState, topic: str) -> Any:
    s += topic + sg.gen("a")
    found = middle(s["a"])
    s += found + sg.gen("b")
    return found


@pytest.fixture
def closed(mock: sg.Mock) -> Callable[[], bool]:
    def wait() -> bool:
        deadline = time.monotonic() + 5
        while mock.num_open and time.monotonic() < deadline:
            time.sleep(0.005)
        return mock.num_open == 0

    return wait


def test_calls_inside_calls_run_side_by_side(mock: sg.Mock) -> None:
    compiled = outer.compile()
    state = compiled.run("cats", backend=mock)
    assert state.text() == outer.run("cats", backend=mock).text() == "catsmockmockmockmock"
    assert state.usage().gens == 8
    assert mock.num_open == 0
    mock.latency = 0.1
    started = time.monotonic()
    compiled.run("cats", backend=mock)
    assert time.monotonic() - started < 0.55  # four rounds; one after the other they would be eight


def test_many_at_once_leave_nothing(mock: sg.Mock, closed: Callable[[], bool]) -> None:
    states = outer.compile().run_batch([(f"cats {i}",) for i in range(200)], backend=mock, num_threads=16)
    assert all(state.ret_value == "mockmock" for state in states)
    assert not any(state._stream.run.nested for state in states)
    assert mock.num_open == 0


def test_a_timeout_ends_what_was_called(mock: sg.Mock, closed: Callable[[], bool]) -> None:
    mock.latency = 0.3
    with pytest.raises(ProgramTimeout):
        outer.compile().run("cats", backend=mock, timeout=0.45)
    assert closed()
    assert len(mock.calls) <= 5


async def test_cancelling_ends_what_was_called(mock: sg.Mock, closed: Callable[[], bool]) -> None:
    mock.latency = 0.2
    task = asyncio.create_task(outer.compile().arun("cats", backend=mock))
    while len(mock.calls) < 2:
        await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    state = outer.compile().run("cats", backend=mock, stream=True)
    state.cancel()
    with pytest.raises(ProgramCancelled):
        state.text()
    assert closed()


def test_what_the_backend_cannot_do_in_a_called_program(mock: sg.Mock, closed: Callable[[], bool]) -> None:
    @sg.function
    def urgent(s: sg.ProgramState) -> Any:
        s += sg.gen("a")
        return inner(s["a"], priority=3)

    for program in (urgent, urgent.compile()):
        with pytest.raises(BackendCapabilityError, match="priority=3"):
            program.run(backend=mock)
        assert closed()


@pytest.mark.parametrize("name", ["a", "x", "y", "b"])
def test_a_failure_anywhere_is_the_same(name: str) -> None:
    failures = []
    for program in (outer, outer.compile()):
        mock = sg.Mock({name: RuntimeError("no luck")})
        with pytest.raises(ProgramError) as caught:
            program.run("cats", backend=mock)
        failures.append((str(caught.value), type(caught.value.__cause__)))
        deadline = time.monotonic() + 5
        while mock.num_open and time.monotonic() < deadline:
            time.sleep(0.005)
        assert mock.num_open == 0
    assert failures[0] == failures[1]
    assert f'gen "{name}": no luck' in failures[0][0]


def test_text_that_is_none_fails_in_the_calling_line(mock: sg.Mock, closed: Callable[[], bool]) -> None:
    @sg.function
    def number(s: sg.ProgramState) -> Any:
        s += sg.gen("n", type=int)
        return s["n"]

    @sg.function
    def using(s: sg.ProgramState) -> None:
        s += number()

    with pytest.raises(sg.TraceError, match=r"test_calling\.py:\d+ in using"):
        using.trace()
    with pytest.raises(TypeError, match="an expression or a string is needed"):
        using.run(backend=mock)
    assert closed()
