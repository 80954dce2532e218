from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from runtime.engine import Engine
from runtime.errors import ContextLengthExceeded, RequestCancelled
from runtime.sampling.params import SamplingParams
from runtime.server.generations import Ask, Generations
from runtime.server.keys import RUNNING
from runtime.server.local_engine import LocalEngine

LONG = SamplingParams(max_new_tokens=None, ignore_eos=True, n=2)
CHAT = "/v1/chat/completions"
ENDLESS: dict[str, Any] = {"messages": [{"role": "user", "content": "the"}], "ignore_eos": True}


async def test_leaving_ends_every_session(tiny_engine: Engine, assert_nothing_held: Callable[[Engine], None]) -> None:
    async with Generations(LocalEngine(tiny_engine), Ask([[5, 6], [7]], LONG)) as generations:
        assert len(generations) == 4
        async for _ in generations.arrivals():
            break
    assert_nothing_held(tiny_engine)


async def test_a_prompt_that_is_too_long_leaves_no_session(
    tiny_engine: Engine, assert_nothing_held: Callable[[Engine], None]
) -> None:
    with pytest.raises(ContextLengthExceeded):
        async with Generations(LocalEngine(tiny_engine), Ask([[5], [5] * 600], LONG)):
            pass
    assert_nothing_held(tiny_engine)


async def test_who_waits_hears_of_a_cancellation(tiny_engine: Engine) -> None:
    async with Generations(LocalEngine(tiny_engine), Ask([[5]], LONG)) as generations:
        generations.cancel()
        with pytest.raises(RequestCancelled):
            await generations.results()


async def _first_event(response: Any) -> bytes:
    line: bytes = await response.content.readline()
    return line


@pytest.mark.parametrize("stream", [True, False])
async def test_who_hangs_up_frees_everything(
    client: Any, tiny_engine: Engine, assert_nothing_held: Callable[[Engine], None], stream: bool
) -> None:
    running = client.app[RUNNING]
    asked = asyncio.create_task(_hang(client, {**ENDLESS, "stream": stream}, reads=stream))
    async with asyncio.timeout(20):
        while not len(running):
            await asyncio.sleep(0.001)
        if not stream:
            asked.cancel()
        await asyncio.wait([asked])
        while len(running):
            await asyncio.sleep(0.001)
    assert_nothing_held(tiny_engine)


async def _hang(client: Any, body: dict[str, Any], *, reads: bool) -> None:
    response = await client.post(CHAT, json=body)
    if reads:
        await _first_event(response)
    response.close()


async def test_a_cancelled_stream_says_so_and_ends(client: Any) -> None:
    async with client.post(CHAT, json={**ENDLESS, "stream": True, "rid": "mine"}) as response:
        await _first_event(response)
        assert client.app[RUNNING].cancel("mine") == 1
        text = await response.text()
    *_, error, done, rest = text.split("\n\n")
    assert '"type":"request_cancelled"' in error
    assert (done, rest) == ("data: [DONE]", "")


async def test_a_cancelled_answer_has_status_499(client: Any) -> None:
    asked = asyncio.create_task(client.post(CHAT, json={**ENDLESS, "rid": "mine"}))
    async with asyncio.timeout(20):
        while not client.app[RUNNING].cancel("mine"):
            await asyncio.sleep(0.001)
        async with await asked as response:
            assert response.status == 499
            assert (await response.json())["error"]["code"] == "cancelled"


async def test_a_dead_engine_is_told_with_503(make_engine: Callable[..., Engine], make_client: Any) -> None:
    engine = make_engine(chat_template="chatml")
    client = await make_client(LocalEngine(engine))
    async with client.post(CHAT, json={**ENDLESS, "stream": True}) as response:
        await _first_event(response)
        await asyncio.to_thread(engine.shutdown)
        text = await response.text()
    assert '"code":"engine_unavailable"' in text
    async with client.post(CHAT, json=ENDLESS) as response:
        assert response.status == 503
        assert response.headers["Retry-After"]


async def test_silence_is_filled_with_comments(make_client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await make_client(keep_alive_seconds=0.02)
    leave = asyncio.Event()
    real = Generations.arrivals

    async def late(self: Generations) -> AsyncIterator[Any]:
        await leave.wait()
        async for arrived in real(self):
            yield arrived

    async def silent(self: Generations, seconds: float) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(Generations, "arrivals", late)
    monkeypatch.setattr(Generations, "begun", silent)
    async with client.post(CHAT, json={**ENDLESS, "max_tokens": 1, "stream": True}) as response:
        async with asyncio.timeout(20):
            while (await response.content.readline()) != b": keep-alive\n":
                pass
        leave.set()
        text = await response.text()
    assert text.endswith("data: [DONE]\n\n")
