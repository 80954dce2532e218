from __future__ import annotations

import asyncio
import threading

import pytest

from runtime.handle import Chunk, Generation, TokenLogprob
from runtime.server.sessions.outbox import Outbox, OutboxFull, merged
from runtime.wire import messages as wire


def piece(call: int, text: str) -> wire.Streamed:
    return wire.Streamed(call, Chunk(text, (len(text),), (TokenLogprob(-1.0, len(text)),)))


def test_pieces_of_a_call_become_one_and_everything_keeps_its_order() -> None:
    end = wire.Generated(1, Generation(text="abc", token_ids=(1, 2), finish_reason="stop"))
    found = merged([piece(1, "a"), wire.Counted(9, 5), piece(2, "x"), piece(1, "bc"), end, piece(2, "y")])
    assert [type(one).__name__ for one in found] == ["Streamed", "Counted", "Streamed", "Generated"]
    assert found[0] == wire.Streamed(1, Chunk("abc", (1, 2), (TokenLogprob(-1.0, 1), TokenLogprob(-1.0, 2))))
    assert found[2] == wire.Streamed(2, Chunk("xy", (1, 1), (TokenLogprob(-1.0, 1),) * 2))


async def test_what_any_thread_puts_comes_out_together() -> None:
    outbox = Outbox(asyncio.get_running_loop(), 1 << 20)
    threads = [threading.Thread(target=lambda: [outbox.put(wire.Counted(1, 2)) for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(await outbox.take()) == 200
    outbox.taken()
    assert outbox.num_bytes == 0
    waiting = asyncio.ensure_future(outbox.take())
    await asyncio.sleep(0)
    assert not waiting.done()
    outbox.put(wire.Counted(3, 4))
    assert await waiting == [wire.Counted(3, 4)]


async def test_a_reader_waits_until_there_is_room() -> None:
    outbox = Outbox(asyncio.get_running_loop(), 4000)
    for _ in range(20):
        outbox.put(wire.Counted(1, 1))
    room = asyncio.ensure_future(outbox.room())
    await asyncio.sleep(0)
    assert not room.done()
    await outbox.take()
    await asyncio.sleep(0)
    assert not room.done()  # taken, but not sent yet
    outbox.taken()
    await asyncio.wait_for(room, 1)


async def test_one_that_overflows_keeps_nothing() -> None:
    outbox = Outbox(asyncio.get_running_loop(), 1000)
    for _ in range(1000):
        outbox.put(wire.Counted(1, 1))
    assert outbox.num_bytes < 1200
    with pytest.raises(OutboxFull, match="more than 1000 bytes"):
        await outbox.take()
    outbox.close()
    outbox.put(wire.Counted(1, 1))
    assert outbox.num_bytes == 0
