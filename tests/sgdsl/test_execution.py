from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest

import sgdsl as sg
from sgdsl import execution
from sgdsl.process import NUM_WORKERS


@sg.function
def inner(s: sg.ProgramState) -> str:
    s += "a" + sg.gen("x")
    return str(s["x"])


async def test_streams_inside_programs_need_no_worker_thread(mock: sg.Mock) -> None:
    everybody = threading.Barrier(NUM_WORKERS)

    @sg.function
    def outer(s: sg.ProgramState) -> str:
        everybody.wait(10)
        return "".join(inner.run(stream=True).get_var("x", timeout=10))

    states = await asyncio.gather(*[outer.arun(backend=mock) for _ in range(NUM_WORKERS)])
    assert [state.ret_value for state in states] == ["mock"] * NUM_WORKERS


def test_programs_awaited_inside_streamed_ones_need_no_worker_thread(mock: sg.Mock) -> None:
    everybody = threading.Barrier(NUM_WORKERS)

    @sg.function
    async def outer(s: sg.ProgramState) -> Any:
        everybody.wait(10)
        return await asyncio.wait_for(inner(), 10)

    states = [outer.run(backend=mock, stream=True) for _ in range(NUM_WORKERS)]
    for state in states:
        state.sync(timeout=20)
    assert [state.ret_value for state in states] == ["mock"] * NUM_WORKERS


async def test_programs_awaited_by_one_on_the_callers_loop_share_the_worker_threads(mock: sg.Mock) -> None:
    names: set[str] = set()

    @sg.function
    def named(s: sg.ProgramState) -> None:
        names.add(threading.current_thread().name)

    @sg.function
    async def outer(s: sg.ProgramState) -> None:
        await asyncio.gather(*[named() for _ in range(100)])

    await outer.arun(backend=mock)
    assert 1 <= len(names) <= NUM_WORKERS
    assert all(name.startswith("sgdsl-program") for name in names)


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Future[Any]]]:
    """Every worker thread has something else to do; what waits for one."""
    waiting: list[Future[Any]] = []

    def submit(work: object, *, apart: bool = False) -> Future[Any]:
        waiting.append(Future())
        return waiting[-1]

    monkeypatch.setattr(execution, "submit", submit)
    yield waiting
    for future in waiting:
        future.cancel()


def test_a_streamed_program_that_waits_for_a_thread_can_be_ended(busy: object, mock: sg.Mock) -> None:
    late = inner.run(backend=mock, stream=True, timeout=0.05)
    with pytest.raises(sg.ProgramTimeout):
        late.text(timeout=10)
    cancelled = inner.run(backend=mock, stream=True)
    cancelled.cancel()
    with pytest.raises(sg.ProgramCancelled):
        cancelled.get_var("x", timeout=10)


async def test_an_awaited_program_that_waits_for_a_thread_can_be_ended(
    busy: list[Future[Any]], mock: sg.Mock
) -> None:  # fmt: skip
    with pytest.raises(sg.ProgramTimeout):
        await asyncio.wait_for(inner.arun(backend=mock, timeout=0.05), 10)

    @sg.function
    async def outer(s: sg.ProgramState) -> int:
        for turns in range(3):
            task = asyncio.ensure_future(inner.arun())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        return len(s._stream.run.nested)

    assert (await outer.arun(backend=mock)).ret_value == 0
    assert len(busy) >= 2
    assert all(future.cancelled() for future in busy)
    assert mock.calls == []


async def test_a_streams_task_that_is_cancelled_before_it_begins_ends_the_run(mock: sg.Mock) -> None:
    @sg.function
    async def program(s: sg.ProgramState) -> None:
        s += "a" + sg.gen("x")

    state = await program.arun(backend=mock, stream=True)
    task = state._stream.run.task
    assert task is not None
    task.cancel()
    with pytest.raises(sg.ProgramCancelled):
        await asyncio.wait_for(state.wait(), 10)
    assert mock.calls == []
