from __future__ import annotations

import asyncio

import pytest

from runtime.server.errors import ApiError
from runtime.server.running import Running


async def test_who_is_too_many_is_told_to_come_later() -> None:
    running = Running(1)
    with running.entered("a", lambda: None):
        with pytest.raises(ApiError) as caught, running.entered("b", lambda: None):
            pass
        assert caught.value.problem.status == 429
    with running.entered("b", lambda: None):
        assert len(running) == 1


async def test_requests_are_cancelled_by_their_name() -> None:
    running = Running(9)
    cancelled: list[str] = []
    with running.entered("a", lambda: cancelled.append("a")), running.entered("b", lambda: cancelled.append("b")):
        assert running.cancel("c") == 0
        assert running.cancel("a") == 1
        assert cancelled == ["a"]
        assert running.cancel() == 2
    assert cancelled == ["a", "a", "b"]


async def test_draining_waits_for_those_inside_and_lets_nobody_in() -> None:
    running = Running(9)
    leave = asyncio.Event()

    async def work() -> None:
        with running.entered("a", leave.set):
            await leave.wait()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    drained = asyncio.create_task(running.drain(60))
    await asyncio.sleep(0)
    with pytest.raises(ApiError) as caught, running.entered("b", leave.set):
        pass
    assert caught.value.problem.status == 503
    assert not drained.done()
    leave.set()
    assert await drained == 0
    await task


async def test_who_takes_too_long_is_cancelled() -> None:
    running = Running(9)
    leave = asyncio.Event()

    async def work() -> None:
        with running.entered("a", leave.set):
            await leave.wait()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    assert await running.drain(0) == 1
    await task
