from __future__ import annotations

import asyncio
import threading
from typing import Any

import sgdsl as sg
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
