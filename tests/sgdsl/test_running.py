from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

import sgdsl as sg
from sgdsl.events import Constant, Generated, GeneratedEnd, RoleClosed, RoleOpened, RolledBack
from sgdsl.execution import perform
from sgdsl.running import RunningState


@sg.function
def program(s: sg.ProgramState) -> str:
    s += "p "
    with s.user():
        s += "q"
    s += sg.gen("x") + "." + sg.select("y", ["1", "2"])
    point = s.checkpoint()
    s += "!" + sg.gen("z")
    s.rollback(point)
    return str(s["x"])


@sg.function
async def awaited(s: sg.ProgramState) -> str:
    s += "p " + sg.gen("x") + "."
    return str(await s.get("x"))


EXPECTED = [
    Constant("p "),
    RoleOpened("user", "<|im_start|>user\n"),
    Constant("q"),
    RoleClosed("user", "<|im_end|>\n"),
    Generated("one", "x"),
    Generated(" two", "x"),
    GeneratedEnd("x"),
    Constant("."),
    Generated("2", "y"),
    GeneratedEnd("y"),
    Constant("!"),
    Generated("Z", "z"),
    GeneratedEnd("z"),
    RolledBack("p <|im_start|>user\nq<|im_end|>\none two.2"),
]


def script() -> sg.Mock:
    return sg.Mock({"x": "one two", "y": "2", "z": "Z"})


def test_events_are_in_text_order() -> None:
    state = program.run(backend=script(), stream=True)
    assert list(state.events()) == EXPECTED
    assert list(state.events()) == EXPECTED
    assert state.ret_value == "one two"
    assert list(program.run(backend=script()).events()) == EXPECTED


def test_pieces_come_before_the_text_is_whole() -> None:
    release = [0]

    @sg.function
    def slow(s: sg.ProgramState) -> None:
        s += "p " + sg.gen("x")
        s["x"]
        release[0] += 1
        s += " end"

    state = slow.run(backend=sg.Mock({"x": "a b c d"}, latency=0.2), stream=True)
    pieces = state.text_iter()
    assert [next(pieces), next(pieces)] == ["p ", "a"]
    assert release == [0]
    assert "".join(pieces) == " b c d end"


def test_reads_wait_for_the_program_to_come_so_far() -> None:
    state = program.run(backend=script(), stream=True)
    assert state["x"] == "one two"
    assert state.get_meta_info("y")["index"] == 1
    assert list(state.text_iter("x")) == ["one", " two"]
    assert state.text() == "p <|im_start|>user\nq<|im_end|>\none two.2"
    assert state.messages() == [{"role": "user", "content": "q"}]
    with pytest.raises(KeyError, match="nothing"):
        state["nothing"]


def test_reads_of_a_running_program_can_time_out(gate: Any) -> None:
    state = program.run(backend=sg.Mock(gate), stream=True)
    for read in (lambda: state.get_var("nothing", timeout=0.02), lambda: state.text(timeout=0.02)):
        with pytest.raises(TimeoutError):
            read()
    state.cancel()


def test_a_failure_ends_the_iteration() -> None:
    state = program.run(backend=sg.Mock({"x": "one", "y": OSError("gone")}), stream=True)
    seen: list[str] = []
    with pytest.raises(sg.ProgramError, match='select "y": gone'):
        seen.extend(state.text_iter())
    assert "".join(seen) in ("p <|im_start|>user\nq<|im_end|>\none.", "p <|im_start|>user\nq<|im_end|>\n")


async def test_streaming_on_an_event_loop() -> None:
    state = await program.arun(backend=script(), stream=True)
    assert "".join([piece async for piece in state.text_async_iter()]) == "".join(
        event.text for event in EXPECTED if not isinstance(event, GeneratedEnd | RolledBack)
    )
    assert await state.get("x") == "one two"
    pairs = [pair async for pair in state.text_async_iter("x", return_meta_data=True)]
    assert [text for text, _ in pairs] == ["one", " two"]
    assert all(meta["token_ids"] for _, meta in pairs)


async def test_streaming_an_async_program() -> None:
    state = await awaited.arun(backend=script(), stream=True)
    assert [piece async for piece in state.text_async_iter("x")] == ["one", " two"]
    await state.wait()
    assert state.text() == "p one two."
    assert state.ret_value == "one two"


def test_an_async_program_streams_to_plain_code_too() -> None:
    state = awaited.run(backend=script(), stream=True)
    assert "".join(state.text_iter()) == "p one two."
    assert state["x"] == "one two"


@pytest.mark.parametrize("one", [program, awaited])
async def test_plain_reads_do_not_block_the_event_loop(one: sg.Program, gate: Any) -> None:
    state = await one.arun(backend=sg.Mock(gate), stream=True)
    reads = (lambda: state["x"], state.text, state.messages, lambda: next(state.events()), lambda: state["nothing"])
    for read in (*reads, lambda: next(state.text_iter("x"))):
        with pytest.raises(sg.WouldBlock):
            read()
    state.cancel()
    gate.opened.set()
    with pytest.raises(sg.ProgramCancelled):
        await state.wait()


async def test_a_streamed_failure_on_an_event_loop() -> None:
    state = await awaited.arun(backend=sg.Mock({"x": OSError("gone")}), stream=True)
    with pytest.raises(sg.ProgramError, match="gone"):
        [piece async for piece in state.text_async_iter()]
    with pytest.raises(sg.ProgramError, match="gone"):
        await state.get("x")
    with pytest.raises(sg.ProgramError, match="gone"):
        await state.wait()


async def test_cancelling_the_task_cancels_the_program(gate: Any) -> None:
    mock = sg.Mock(gate)
    for one in (program, awaited):
        gate.reached.clear()
        task = asyncio.ensure_future(one.arun(backend=mock))
        await asyncio.to_thread(gate.reached.wait, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gate.opened.set()
        await asyncio.sleep(0.05)
        assert mock.num_open == 0
        gate.opened.clear()


class Nap:
    """What a program's own function does for long, until it is woken."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.woken = threading.Event()

    def __call__(self) -> None:
        self.begun.set()
        assert self.woken.wait(20)


@pytest.fixture
def nap() -> Iterator[Nap]:
    made = Nap()
    yield made
    made.woken.set()


@pytest.mark.parametrize("end", ["cancel", "timeout", "gen"])
def test_readers_do_not_wait_for_the_function_of_a_program_that_has_ended(
    end: str, nap: Nap, settles: Callable[..., bool]
) -> None:
    mock = sg.Mock({"x": OSError("gone")} if end == "gen" else {"x": "X"})

    @sg.function
    def busy(s: sg.ProgramState) -> None:
        s += "a" + sg.gen("x")
        nap()

    started = time.monotonic()
    state = busy.run(backend=mock, stream=True, timeout=0.1 if end == "timeout" else None)
    assert nap.begun.wait(5)
    if end == "cancel":
        state.cancel()
    kind = {"cancel": sg.ProgramCancelled, "timeout": sg.ProgramTimeout, "gen": sg.ProgramError}[end]
    for read in (state.text, state.sync, lambda: state["never"], lambda: list(state.text_iter())):
        with pytest.raises(kind):
            read()
    assert isinstance(state.error(), kind)
    assert settles(lambda: mock.num_open == 0)
    assert not nap.woken.is_set()
    assert time.monotonic() - started < 10


async def test_coroutines_do_not_wait_for_it_either() -> None:
    @sg.function
    async def busy(s: sg.ProgramState) -> None:
        s += "a" + sg.gen("x")
        await asyncio.Event().wait()

    state = await busy.arun(backend=sg.Mock(), stream=True)
    assert await state.get("x", timeout=5) == "mock"
    for read in (state.get("never", timeout=0.02), state.wait(timeout=0.02)):
        with pytest.raises(TimeoutError, match=r"timeout=0\.02 s"):
            await read
    state.cancel()
    for later in (state.get("never"), state.wait()):
        with pytest.raises(sg.ProgramCancelled):
            await asyncio.wait_for(later, 5)
    task = state._stream.run.task
    assert task is not None
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_failure_that_only_an_onlooker_has_seen_is_still_the_runs() -> None:
    run = program.prepare((), {}, sg.Mock({"x": OSError("gone")}))[0]
    state = RunningState(run)
    onlooker = threading.Thread(target=lambda: [None for _ in iter_quietly(state)])
    onlooker.start()
    with pytest.raises(sg.ProgramError, match="gone"):
        perform(sg.function(lambda s: append_and_look(s, onlooker)), run, (), {}, None)


def append_and_look(s: sg.ProgramState, onlooker: threading.Thread) -> None:
    s += "a" + sg.gen("x")
    onlooker.join(10)
    assert not onlooker.is_alive()


def iter_quietly(state: sg.ProgramState) -> Iterator[str]:
    with suppress(sg.ProgramError):
        yield from state.text_iter()


def test_an_empty_first_sample_is_streamed_as_nothing() -> None:
    @sg.function
    def samples(s: sg.ProgramState) -> None:
        s += "p" + sg.gen("x", n=2) + sg.separate_reasoning(sg.gen("y", n=2), "qwen3") + "."

    script = {"x": ["", "b"], "y": ["4", "<think>hm</think>5"]}
    state = samples.run(backend=sg.Mock(script), stream=True)
    assert "".join(state.text_iter()) == state.text() == "p4."
    assert (state["x"], list(state.text_iter("x"))) == (["", "b"], [])
    assert (state["y_reasoning_content"], list(state.text_iter("y_reasoning_content"))) == (["", "hm"], [])
