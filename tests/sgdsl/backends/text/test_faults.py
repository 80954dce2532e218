from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import sgdsl as sg
from runtime.errors import EngineClosed, RequestCancelled
from runtime.sampling.params import SamplingParams

Make = Callable[..., sg.OpenAI]
CHUNK = (
    b'data: {"id":"x","object":"c","created":0,"model":"m","choices":[{"index":0,"finish_reason":null,"delta":%s}]}\n\n'
)


@sg.function
def ask(s: sg.ProgramState) -> None:
    s += sg.user("What?") + sg.assistant(sg.gen("x"))
    s += sg.user("And?") + sg.assistant(sg.gen("y"))


@pytest.fixture(params=["chat", "completion", "anthropic"])
def backend(request: pytest.FixtureRequest, server: Any, openai: Make) -> Iterator[Any]:
    if request.param == "anthropic":
        with sg.Anthropic("m", api_key="k", base_url=server.url, max_retries=0) as made:
            yield made
    else:
        yield openai(is_chat_model=request.param == "chat")


def failing(program: sg.Program, backend: Any, server: Any) -> BaseException:
    """Runs it with three waiters, who all must be told within a second of the server's reply, and gives the cause."""
    started = time.monotonic()
    state = program.run(backend=backend, stream=True)
    told: list[BaseException] = []

    def wait(read: Callable[[], object]) -> None:
        try:
            read()
        except sg.ProgramError as error:
            told.append(error)

    reads = (lambda: state["x"], lambda: list(state.text_iter("x")), state.text)
    waiters = [threading.Thread(target=wait, args=(read,)) for read in reads]
    for waiter in waiters:
        waiter.start()
    for waiter in waiters:
        waiter.join(10)
    assert len(told) == 3
    assert time.monotonic() - (server.last_reply or started) < 1.0
    assert len({id(error.__cause__) for error in told}) == 1
    assert told[0].__cause__ is not None
    return told[0].__cause__


@pytest.mark.parametrize(
    ("status", "cause"), [(500, "InternalServerError"), (429, "RateLimitError"), (400, "BadRequestError")]
)
def test_a_status(server: Any, reply: Any, backend: Any, status: int, cause: str) -> None:
    server.replies = [reply(status=status)]
    error = failing(ask, backend, server)
    assert type(error).__name__ == cause
    assert f"status {status}" in str(error)
    assert len(server.requests) == 1


def test_a_dropped_connection(server: Any, reply: Any, backend: Any) -> None:
    server.replies = [reply(["half"], drops=True)]
    assert type(failing(ask, backend, server)).__name__ in ("APIConnectionError", "ReadError", "RemoteProtocolError")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"data: [DONE]\n\n",
        CHUNK % b'{"content":"a"}',
        b"<html>nothing to see</html>",
        b"data: {not json\n\n",
        b"data: 7\n\n",
        b"data: null\n\n",
        b"data: []\n\n",
        b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":7}\n\n",
        b"event: message_start\ndata: {\"type\":\"message_start\"}\n\n",
        b'data: {"choices": 7}\n\n',
        b'data: {"choices": [7]}\n\n',
        b'data: {"choices": [{"text": 7, "finish_reason": null, "delta": {"content": 7}}]}\n\n',
        b'data: {"choices": [{"text": "a", "finish_reason": 7, "delta": {"content": "a"}}]}\n\n',
        b'data: {"choices": [{"text": "a", "finish_reason": "stop", "delta": 7, "logprobs": 7}]}\n\n',
        b'data: {"choices": [], "usage": {"prompt_tokens": "many"}}\n\n',
        b'data: {"error": {"message": "out of memory"}}\n\n',
        b"data: \xff\xfe\n\n",
    ],
)  # fmt: skip
def test_answers_that_are_none(server: Any, reply: Any, backend: Any, raw: bytes) -> None:
    server.replies = [reply(raw=raw)]
    error = failing(ask, backend, server)
    assert str(error)


def test_another_content_type(server: Any, reply: Any, backend: Any) -> None:
    server.replies = [reply(raw=b'{"ok": true}', content_type="application/json")]
    failing(ask, backend, server)


def test_answers_that_were_withheld(server: Any, reply: Any, openai: Make) -> None:
    server.replies = [reply(["a"], "content_filter"), reply(raw=CHUNK % b'{"refusal":"I will not"}')]
    backend = openai()
    assert "finish_reason='content_filter'" in str(failing(ask, backend, server))
    assert "the model refused: I will not" in str(failing(ask, backend, server))


def test_nobody_listens(server: Any, openai: Make) -> None:
    error = failing(ask, openai(base_url="http://127.0.0.1:9/v1"), server)
    assert type(error).__name__ == "APIConnectionError"


def test_a_timeout_of_the_client_and_of_a_gen(server: Any, reply: Any, openai: Make) -> None:
    server.replies = [reply(["a"], hangs=True), reply(["a"], hangs=True)]
    error = failing(ask, openai(timeout=0.2), server)
    assert type(error).__name__ == "APITimeoutError"
    assert server.aborted.wait(5)
    server.aborted.clear()

    @sg.function
    def impatient(s: sg.ProgramState) -> None:
        s += sg.user("What?") + sg.assistant(sg.gen("x", timeout=0.2))

    with pytest.raises(sg.ProgramTimeout, match=r"timeout=0\.2 s"):
        impatient.run(backend=openai())
    assert server.aborted.wait(5)


def test_trying_again_is_the_clients_own(server: Any, reply: Any, openai: Make) -> None:
    server.replies = [reply(status=429, headers={"retry-after-ms": "10"}), reply("a"), reply("b")]
    state = ask.run(backend=openai(max_retries=1))
    assert (state["x"], state["y"]) == ("a", "b")
    assert len(server.requests) == 3


def test_cancelling_aborts_the_request(server: Any, reply: Any, backend: Any) -> None:
    server.replies = [reply(["a"], hangs=True)]
    state = ask.run(backend=backend, stream=True)
    assert server.arrived.wait(5)
    state.cancel()
    with pytest.raises(sg.ProgramCancelled):
        state["x"]
    assert server.aborted.wait(5)
    server.arrived.clear()
    assert ask.run(backend=backend, stream=False)["y"] == "fine"


def test_dropping_a_state_aborts_its_request(server: Any, reply: Any, openai: Make) -> None:
    server.replies = [reply(["a"], hangs=True)]
    state = ask.run(backend=openai(), stream=True)
    assert server.arrived.wait(5)
    del state
    gc.collect()
    assert server.aborted.wait(5)


async def test_an_async_run_that_is_cancelled(server: Any, reply: Any, openai: Make) -> None:
    server.replies = [reply(["a"], hangs=True)]

    @sg.function
    async def program(s: sg.ProgramState) -> None:
        s += sg.user("What?") + sg.assistant(sg.gen("x"))
        await s.get("x")

    task = asyncio.create_task(program.arun(backend=openai()))
    await asyncio.to_thread(server.arrived.wait, 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(server.aborted.wait, 5)


def test_closing_a_backend_ends_what_runs_on_it(server: Any, reply: Any, openai: Make) -> None:
    server.answer = lambda body: reply(["a"], hangs=True)
    backend = openai(concurrency=1)
    states = [ask.run(backend=backend, stream=True) for _ in range(3)]
    assert server.arrived.wait(5)
    time.sleep(0.05)
    backend.close()
    for state in states:
        with pytest.raises(sg.ProgramError) as caught:
            state["x"]
        assert isinstance(caught.value.__cause__, RequestCancelled | EngineClosed)
    with pytest.raises(sg.ProgramError, match="the OpenAI backend was closed"):
        ask.run(backend=backend)
    backend.close()
    assert server.aborted.wait(5)


def test_a_backend_nobody_holds_gives_its_thread_up(server: Any) -> None:
    def use() -> None:
        ask.run(backend=sg.OpenAI("m", base_url=f"{server.url}/v1", api_key="k"))

    use()
    deadline = time.monotonic() + 5
    while any(thread.name == "sgdsl-OpenAI" for thread in threading.enumerate()) and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.02)
    assert not any(thread.name == "sgdsl-OpenAI" for thread in threading.enumerate())


def test_a_failure_in_a_batch_leaves_the_others_alone(server: Any, reply: Any, openai: Make) -> None:
    @sg.function
    def program(s: sg.ProgramState, number: int) -> None:
        s += sg.user(str(number)) + sg.assistant(sg.gen("x"))

    def answer(body: Any) -> Any:
        number = int(body["messages"][0]["content"])
        return reply(str(number), status=500 if number % 5 == 0 else 200)

    server.answer = answer
    results = program.run_batch([(number,) for number in range(20)], backend=openai(), return_exceptions=True)
    for number, result in enumerate(results):
        if number % 5 == 0:
            assert isinstance(result, sg.ProgramError)
        else:
            assert result["x"] == str(number)


def test_a_session_that_has_failed_fails_what_follows(server: Any, reply: Any, openai: Make) -> None:
    server.replies = [reply(status=500)]
    session = openai(is_chat_model=False).open()
    session.append("a")
    first = session.generate(SamplingParams())
    child = session.fork(1)[0]
    waiting = child.generate(SamplingParams())
    session.flush()
    with pytest.raises(Exception, match="status 500"):
        first.result(5)
    for handle in (waiting, session.generate(SamplingParams()), session.mark(), session.fork(1)[0].mark()):
        with pytest.raises(RequestCancelled, match="an earlier call of this session failed"):
            handle.result(5)
    assert len(server.requests) == 1


def test_a_session_cancelled_before_anything_ran(server: Any, openai: Make) -> None:
    session = openai(is_chat_model=False).open()
    session.append("a")
    handle = session.generate(SamplingParams())
    session.cancel()
    session.close()
    with pytest.raises(RequestCancelled):
        handle.result(5)
    assert server.requests == []
