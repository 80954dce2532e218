from __future__ import annotations

import asyncio
import gc
import threading
import weakref

import pytest

from runtime.errors import InvalidParameter, RequestCancelled
from runtime.handle import Chunk, Handle


class Late(TimeoutError):
    def __init__(self, message: str, *, where: str) -> None:
        super().__init__(message)
        self.where = where


def test_result_waits_and_flushes() -> None:
    flushed = threading.Event()
    handle: Handle[int] = Handle(_flush=flushed.set)
    assert not handle.done()
    with pytest.raises(TimeoutError, match=r"0\.01"):
        handle.result(timeout=0.01)
    assert flushed.is_set()
    threading.Timer(0.02, handle.finish, [7]).start()
    assert handle.result(timeout=5) == 7
    assert handle.done()
    assert handle.error() is None


def test_only_the_first_end_counts() -> None:
    handle: Handle[int] = Handle()
    handle.finish(1)
    handle.fail(RequestCancelled("late"))
    handle.finish(2)
    assert handle.result() == 1
    assert handle.error() is None


def test_every_reader_sees_every_chunk_and_then_the_error() -> None:
    handle: Handle[int] = Handle()
    handle.push(Chunk("a"))
    seen: list[str] = []
    handle.subscribe(lambda chunk: seen.append("end" if chunk is None else chunk.text))

    def feed() -> None:
        handle.push(Chunk("b"))
        handle.fail(RequestCancelled("gone"))

    threading.Timer(0.02, feed).start()
    for _ in range(2):
        texts: list[str] = []
        with pytest.raises(RequestCancelled, match="gone"):
            texts.extend(chunk.text for chunk in handle)
        assert texts == ["a", "b"]
    assert seen == ["a", "b", "end"]
    late: list[Chunk | None] = []
    handle.subscribe(late.append)
    assert late == [Chunk("a"), Chunk("b"), None]


async def test_awaiting_and_async_iterating() -> None:
    handle: Handle[str] = Handle()

    def feed() -> None:
        for letter in "xyz":
            handle.push(Chunk(letter))
        handle.finish("xyz")

    threading.Timer(0.02, feed).start()
    value, texts = await asyncio.gather(_wait(handle), _texts(handle))
    assert (value, texts) == ("xyz", ["x", "y", "z"])
    assert await handle == "xyz"


async def _wait(handle: Handle[str]) -> str:
    return await handle


async def _texts(handle: Handle[str]) -> list[str]:
    return [chunk.text async for chunk in handle]


async def test_an_error_is_raised_where_it_is_awaited() -> None:
    handle: Handle[int] = Handle()
    handle.fail(InvalidParameter("n", 0, "1"))
    with pytest.raises(InvalidParameter, match="n=0") as caught:
        await handle
    assert caught.value.field == "n"


def test_a_closed_loop_does_not_reach_the_engine() -> None:
    handle: Handle[int] = Handle()

    async def leave() -> None:
        task = asyncio.ensure_future(_wait(handle))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(leave())
    handle.push(Chunk("x"))
    handle.finish(1)
    assert handle.result() == 1


def test_a_raised_error_keeps_nothing_of_its_reader_alive() -> None:
    """What the engine keeps of an error must not hold the frames it was raised through."""

    class Held:
        pass

    error = RequestCancelled("gone")

    def read() -> weakref.ref[Held]:
        held = Held()
        handle: Handle[int] = Handle()
        handle.fail(error)
        with pytest.raises(RequestCancelled):
            handle.result()
        return weakref.ref(held)

    reference = read()
    gc.collect()
    assert reference() is None


@pytest.mark.parametrize("error", [ValueError("a", 3), OSError(2, "missing"), Late("took too long", where="here")])
def test_an_error_is_raised_as_it_was(error: Exception) -> None:
    handle: Handle[int] = Handle()
    handle.fail(error)
    with pytest.raises(type(error)) as caught:
        handle.result()
    assert caught.value is not error
    assert (str(caught.value), caught.value.args, vars(caught.value)) == (str(error), error.args, vars(error))


def test_an_ended_handle_lets_go_of_what_flushes_it() -> None:
    class Session:
        def flush(self) -> None:
            pass

    session = Session()
    reference = weakref.ref(session)
    handle: Handle[int] = Handle(_flush=session.flush)
    handle.finish(1)
    del session
    gc.collect()
    assert reference() is None
    assert handle.result() == 1
