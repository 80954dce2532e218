from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

import sgdsl as sg
from runtime.handle import Handle
from sgdsl.waiting import Deadline, wait_for, wait_for_async, wait_for_event


@pytest.mark.parametrize("timeout", [-1, "1", True, float("nan"), [1]])
def test_what_is_no_number_of_seconds_is_refused(timeout: Any) -> None:
    with pytest.raises(ValueError, match="timeout="):
        Deadline(timeout)


def test_one_deadline_for_several_waits() -> None:
    deadline, never = Deadline(0.1), threading.Event()
    started = time.monotonic()
    for wait in (lambda: wait_for(Handle(), deadline), lambda: wait_for_event(never, deadline)):
        with pytest.raises(TimeoutError, match=r"timeout=0\.1 s"):
            wait()
    assert 0.1 <= time.monotonic() - started < 2


def test_without_an_end_there_is_time_left_at_all_times() -> None:
    assert Deadline(None).remaining() is None
    handle: Handle[int] = Handle()
    threading.Timer(0.3, lambda: handle.fail(OSError("gone"))).start()  # longer than a single wait
    wait_for(handle, Deadline(None))
    assert isinstance(handle.error(), OSError)


async def test_awaiting_ends_at_the_deadline_too() -> None:
    with pytest.raises(TimeoutError, match=r"timeout=0\.02 s"):
        async with Deadline(0.02).awaited():
            await wait_for_async(Handle())
    failed: Handle[int] = Handle()
    failed.fail(OSError("gone"))
    async with Deadline(5).awaited():
        await wait_for_async(failed)
        await asyncio.sleep(0)


async def test_a_programs_own_timeout_stays_what_it_is() -> None:
    with pytest.raises(sg.ProgramTimeout, match="mine"):
        async with Deadline(5).awaited():
            raise sg.ProgramTimeout("mine")
