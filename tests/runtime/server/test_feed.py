from __future__ import annotations

import asyncio
import threading

from runtime.handle import Chunk, Generation, Handle
from runtime.server.feed import Feed


async def test_what_threads_say_arrives_in_order_and_whole() -> None:
    feed = Feed()
    handles: list[Handle[Generation]] = [Handle() for _ in range(3)]

    def write(handle: Handle[Generation]) -> None:
        for number in range(200):
            handle.push(Chunk(str(number)))
        handle.finish(Generation(text="", token_ids=(), finish_reason="stop"))

    handles[0].push(Chunk("before"))
    for place, handle in enumerate(handles):
        feed.follow(place, handle)
    threads = [threading.Thread(target=write, args=(handle,)) for handle in handles]
    for thread in threads:
        thread.start()
    found: list[list[str]] = [[], [], []]
    ended = 0
    async with asyncio.timeout(20):
        while ended < 3:
            for place, chunk in await feed.next():
                if chunk is None:
                    ended += 1
                else:
                    found[place].append(chunk.text)
    for thread in threads:
        thread.join()
    numbers = [str(number) for number in range(200)]
    assert found == [["before", *numbers], numbers, numbers]
