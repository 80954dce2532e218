from __future__ import annotations

import asyncio
import threading

import pytest

from sgdsl.log import Log
from sgdsl.waiting import Deadline


def test_readers_follow_from_the_first_entry_to_the_end() -> None:
    log: Log[int] = Log((0,))
    seen: list[list[int]] = [[], []]
    readers = [threading.Thread(target=lambda into=into: into.extend(log.follow(Deadline(None)))) for into in seen]  # type: ignore[misc]
    readers[0].start()
    for number in range(1, 50):
        log.append(number)
    readers[1].start()
    log.close()
    for reader in readers:
        reader.join(5)
    assert seen == [list(range(50))] * 2


async def test_coroutines_follow_entries_from_other_threads() -> None:
    log: Log[int] = Log()

    def write() -> None:
        for number in range(200):
            log.append(number)
        log.close()

    async def read() -> list[int]:
        return [number async for number in log]

    readers = [asyncio.ensure_future(read()) for _ in range(3)]
    await asyncio.sleep(0)
    await asyncio.to_thread(write)
    assert await asyncio.gather(*readers) == [list(range(200))] * 3


def test_following_can_time_out() -> None:
    log: Log[int] = Log((1,))
    entries = log.follow(Deadline(0.01))
    assert next(entries) == 1
    with pytest.raises(TimeoutError):
        next(entries)
    assert log.snapshot() == (1,)
