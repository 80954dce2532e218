"""Sessions by plain HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from runtime.choosing import Choosing
from runtime.engine import Engine
from runtime.sampling.params import SamplingParams
from runtime.server.sessions.keys import HELD
from runtime.server.sessions.limits import SessionLimits

GREEDY = {"max_new_tokens": 4, "temperature": 0, "ignore_eos": True}
LONG = {"max_new_tokens": 400, "temperature": 0, "ignore_eos": True}


async def post(client: Any, path: str, body: dict[str, Any] | None = None, status: int = 200) -> Any:
    response = await client.post(path, json=body or {})
    assert response.status == status, await response.text()
    return await response.json()


async def opened(client: Any, **body: Any) -> str:
    return f"/sessions/{(await post(client, '/sessions', body))['id']}"


async def test_a_session_does_what_one_in_the_process_does(
    client: Any, tiny_engine: Engine, assert_nothing_held: Callable[[Engine], None]
) -> None:
    params = SamplingParams(max_new_tokens=4, temperature=0.0, ignore_eos=True)
    with tiny_engine.open() as session:
        session.append("the theatre")
        session.append(" there")
        first = session.generate(params).result()
        scores = session.score(["yes", "no"], Choosing("joint_likelihood")).result()
        mark = session.mark().result()
        forks = session.fork(2)
        for number, fork in enumerate(forks):
            fork.append(f"{number}:")
            fork.generate(params).result()
        count = session.concat(forks).result()
        tokens = session.tokens().result()
        for fork in forks:
            fork.close()
    url = await opened(client, text="the theatre", program="p")
    await post(client, f"{url}/append", {"text": " there"})
    found = await post(client, f"{url}/generate", {"sampling_params": GREEDY, "rid": "r"})
    assert found["output_ids"] == list(first.token_ids)
    assert found["meta_info"]["id"] == "r"
    assert found["meta_info"]["prompt_tokens"] == first.prompt_tokens
    chosen = await post(client, f"{url}/score", {"choices": ["yes", "no"], "method": "joint_likelihood"})
    assert (chosen["index"], chosen["choice"]) == (scores.index, ["yes", "no"][scores.index])
    assert chosen["logprobs"][0] == pytest.approx(scores.logprobs[0], abs=1e-4)
    names = (await post(client, f"{url}/fork", {"n": 2}))["ids"]
    for number, name in enumerate(names):
        await post(client, f"/sessions/{name}/append", {"text": f"{number}:"})
        await post(client, f"/sessions/{name}/generate", {"sampling_params": GREEDY})
    assert (await post(client, f"{url}/concat", {"sessions": names}))["num_tokens"] == count
    shown = await (await client.get(url)).json()
    assert list(zip(shown["token_ids"], shown["origins"], strict=True)) == tokens
    assert (await post(client, f"{url}/truncate", {"num_tokens": mark}))["num_tokens"] == mark
    for one in (url, *(f"/sessions/{name}" for name in names)):
        assert (await client.delete(one)).status == 200
        assert (await client.delete(one)).status == 404
    assert_nothing_held(tiny_engine)


async def test_a_stream_on_a_session(client: Any) -> None:
    url = await opened(client, input_ids=[5, 6, 7])
    response = await client.post(f"{url}/generate", json={"sampling_params": LONG, "stream": True})
    lines = [line.removeprefix("data: ") for line in (await response.text()).split("\n\n") if line[:5] == "data:"]
    assert lines[-1] == "[DONE]"
    last = json.loads(lines[-2])
    assert last["meta_info"]["completion_tokens"] == 400
    assert (await (await client.get(url)).json())["num_tokens"] == 403


async def test_names_cannot_be_guessed_and_unknown_ones_are_not_found(client: Any) -> None:
    names = {await opened(client) for _ in range(50)}
    assert len(names) == 50
    assert min(map(len, names)) >= len("/sessions/session-") + 24
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/generate"), ("POST", "/fork"), ("POST", "/cancel")):
        response = await client.request(method, f"/sessions/session-1{path}", json={})
        assert response.status == 404
        assert (await response.json())["error"]["code"] == "session_not_found"


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/append", {}, "text"),
        ("/append", {"text": 5}, "text"),
        ("/append", {"text": "a", "input_ids": [1]}, "input_ids"),
        ("/append", {"input_ids": [10**6]}, "input_ids"),
        ("/generate", {"sampling_params": {"n": 2}}, "sampling_params.n"),
        ("/generate", {"sampling_params": [{}]}, "sampling_params"),
        ("/generate", {"sampling_params": {"top_p": 7}}, "top_p"),
        ("/score", {}, "choices"),
        ("/score", {"choices": []}, "choices"),
        ("/score", {"choices": ["a"], "method": "mine"}, "choices_method"),
        ("/fork", {"n": 0}, "n"),
        ("/fork", {"n": "2"}, "n"),
        ("/concat", {"sessions": ["x"]}, "id"),
        ("/truncate", {"num_tokens": None}, "num_tokens"),
    ],
)
async def test_what_is_wrong_is_named_and_the_session_lives_on(
    client: Any, path: str, body: dict[str, Any], param: str
) -> None:
    url = await opened(client, text="x")
    response = await client.post(url + path, json=body)
    assert response.status == (404 if path == "/concat" else 400), await response.text()
    assert (await response.json())["error"]["param"] == param
    assert (await post(client, f"{url}/generate", {"sampling_params": GREEDY}))["output_ids"]


async def test_a_session_that_failed_is_over(client: Any) -> None:
    url = await opened(client, text="x")
    await post(client, f"{url}/generate", {"sampling_params": {"lark": "start: ("}}, status=400)
    assert (await client.get(url)).status == 404


async def test_cancelling_ends_what_runs(
    client: Any, tiny_engine: Engine, assert_nothing_held: Callable[[Engine], None]
) -> None:
    url = await opened(client, text="x")
    running = asyncio.ensure_future(client.post(f"{url}/generate", json={"sampling_params": LONG}))
    async with asyncio.timeout(10):
        while not tiny_engine.stats()["running"]:
            await asyncio.sleep(0.001)
    await post(client, f"{url}/cancel")
    assert (await (await running).json())["meta_info"]["finish_reason"]["type"] == "abort"
    assert (await client.get(url)).status == 404
    assert_nothing_held(tiny_engine)


async def test_a_client_that_goes_away_ends_its_session(
    client: Any, tiny_engine: Engine, assert_nothing_held: Callable[[Engine], None]
) -> None:
    url = await opened(client, text="x")
    running = asyncio.ensure_future(client.post(f"{url}/generate", json={"sampling_params": LONG}))
    async with asyncio.timeout(10):
        while not tiny_engine.stats()["running"]:
            await asyncio.sleep(0.001)
    running.cancel()
    async with asyncio.timeout(5):
        while tiny_engine.stats()["running"]:
            await asyncio.sleep(0.001)
    assert (await client.get(url)).status == 404
    assert_nothing_held(tiny_engine)


async def test_there_is_room_for_so_many(make_client: Any) -> None:
    client = await make_client(sessions=SessionLimits(max_http_sessions=3))
    url = await opened(client)
    response = await client.post(f"{url}/fork", json={"n": 3})
    assert response.status == 429
    assert response.headers["Retry-After"]
    await post(client, f"{url}/fork", {"n": 2})
    await post(client, "/sessions", status=429)
    await client.delete(url)
    await opened(client)


async def test_idle_sessions_end_and_busy_ones_do_not(
    make_client: Any, tiny_engine: Engine, assert_nothing_held: Callable[[Engine], None]
) -> None:
    client = await make_client(sessions=SessionLimits(idle_seconds=100.0))
    held = client.app[HELD]
    now = 0.0
    held._clock = lambda: now
    idle, busy = await opened(client), await opened(client, text="x")
    with held.used(busy.rpartition("/")[2]):
        now = 101.0
        assert held.expire() == 1
    assert (await client.get(idle)).status == 404
    now = 150.0
    assert held.expire() == 0
    assert (await (await client.get(busy)).json())["num_tokens"] == 1
    await client.close()
    assert len(held) == 0
    assert_nothing_held(tiny_engine)


async def test_the_sweep_finds_them_by_itself(make_client: Any) -> None:
    client = await make_client(sessions=SessionLimits(idle_seconds=0.05))
    url = await opened(client)
    async with asyncio.timeout(5):
        while (await client.get(url)).status != 404:
            await asyncio.sleep(0.2)


def test_limits_are_above_zero() -> None:
    with pytest.raises(ValueError, match="idle_seconds=0"):
        SessionLimits(idle_seconds=0)
