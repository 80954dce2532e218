"""Sessions by plain HTTP that are given more than the model's context holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from runtime.engine import Engine
from runtime.errors import ContextLengthExceeded
from runtime.server.keys import ENGINE, RUNNING
from runtime.server.local_engine import LocalEngine
from runtime.server.sessions.appending import most_of

LIMIT = 64
GREEDY = {"max_new_tokens": 4, "temperature": 0, "ignore_eos": True}


@pytest.fixture
async def client(make_client: Any, make_engine: Callable[..., Engine]) -> Any:
    return await make_client(LocalEngine(make_engine(context_length=LIMIT)))


async def post(client: Any, path: str, body: dict[str, Any] | None = None, status: int = 200) -> Any:
    response = await client.post(path, json=body or {})
    assert response.status == status, await response.text()
    return await response.json()


async def opened(client: Any, **body: Any) -> str:
    return f"/sessions/{(await post(client, '/sessions', body))['id']}"


async def num_tokens(client: Any, url: str) -> int:
    response = await client.get(url)
    assert response.status == 200, await response.text()
    return int((await response.json())["num_tokens"])


async def test_what_does_not_fit_is_refused_and_the_session_goes_on(client: Any) -> None:
    url = await opened(client, input_ids=[5] * 40)
    error = (await post(client, f"{url}/append", {"input_ids": [6] * 25}, 400))["error"]
    assert (error["code"], error["param"]) == ("context_length_exceeded", "input_ids")
    assert "25 tokens behind 40 of the session are more than context_length=64 allows" in error["message"]
    await post(client, f"{url}/append", {"input_ids": [6] * 20})
    error = (await post(client, f"{url}/append", {"text": "the theatre then " * 9}, 400))["error"]
    assert (error["code"], error["param"]) == ("context_length_exceeded", "text")
    assert await num_tokens(client, url) == 60
    found = await post(client, f"{url}/generate", {"sampling_params": GREEDY})
    assert found["meta_info"]["completion_tokens"] == 4
    await post(client, f"{url}/append", {"input_ids": [6]}, 400)
    assert (await post(client, f"{url}/truncate", {"num_tokens": 10}))["num_tokens"] == 10
    await post(client, f"{url}/append", {"input_ids": [6] * (LIMIT - 10)})
    assert await num_tokens(client, url) == LIMIT


async def test_one_that_begins_with_too_much_does_not_begin(client: Any) -> None:
    error = (await post(client, "/sessions", {"input_ids": [5] * (LIMIT + 1)}, 400))["error"]
    assert error["code"] == "context_length_exceeded"
    held = (await (await client.get("/server_info")).json())["sessions"]
    assert held == 0


async def test_who_only_appends_never_has_more_than_the_context(client: Any) -> None:
    url = await opened(client)
    statuses = []
    for _ in range(LIMIT * 2):
        async with client.post(f"{url}/append", json={"text": "the "}) as response:
            statuses.append(response.status)
    assert set(statuses) == {200, 400}
    assert statuses == sorted(statuses)  # once it is full, it stays full
    each = len(client.app[ENGINE].tokenizer.encode("the "))
    assert LIMIT - each < await num_tokens(client, url) <= LIMIT


async def test_what_was_written_counts_too(client: Any) -> None:
    """By generations, scores, forks and concatenations; each is followed by as much as fits, and by one token more."""
    url = await opened(client, input_ids=[5] * 10)
    await post(client, f"{url}/generate", {"sampling_params": GREEDY})
    await post(client, f"{url}/score", {"choices": ["yes", "no"]})
    (fork,) = (await post(client, f"{url}/fork", {"n": 1}))["ids"]
    await post(client, f"/sessions/{fork}/append", {"input_ids": [7] * 9})
    await post(client, f"/sessions/{fork}/generate", {"sampling_params": GREEDY})
    await post(client, f"{url}/concat", {"sessions": [fork]})
    for one in (url, f"/sessions/{fork}"):
        room = LIMIT - await num_tokens(client, one)
        assert 0 < room < LIMIT - 14
        await post(client, f"{one}/append", {"input_ids": [8] * (room + 1)}, 400)
        await post(client, f"{one}/append", {"input_ids": [8] * room})
        await post(client, f"{one}/append", {"input_ids": [8]}, 400)


async def test_nothing_is_counted_as_long_as_there_is_room_for_certain(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, counted = client.app[ENGINE], []
    opening = engine.open

    def recorded(**words: str) -> Any:
        session = opening(**words)
        tokens = session.tokens
        monkeypatch.setattr(session, "tokens", lambda: (counted.append(1), tokens())[1])
        return session

    monkeypatch.setattr(engine, "open", recorded)
    url = await opened(client, text="the theatre")
    for text in ("there", "then"):
        await post(client, f"{url}/append", {"text": text})
        await post(client, f"{url}/generate", {"sampling_params": GREEDY})
    assert counted == []
    await post(client, f"{url}/append", {"input_ids": [5] * LIMIT}, 400)
    assert counted == [1]


@pytest.mark.parametrize("text", ["", "a", "the theatre", "été 日本 😀"])
def test_a_text_has_no_more_tokens_than_is_thought(tiny_engine: Engine, text: str) -> None:
    assert len(tiny_engine.tokenizer.encode(text, add_bos=True)) <= most_of(text)
    assert most_of([1, 2]) == 2


async def test_a_request_that_is_not_let_in_ends_no_session(make_client: Any) -> None:
    client = await make_client(max_requests=1)
    url = await opened(client, text="the theatre")
    with client.app[RUNNING].entered("other", lambda: None):
        await post(client, f"{url}/generate", {"sampling_params": GREEDY}, 429)
        await post(client, f"{url}/truncate", {"num_tokens": 1}, 429)
    found = await post(client, f"{url}/generate", {"sampling_params": GREEDY})
    assert found["meta_info"]["completion_tokens"] == 4


def test_the_engine_itself_keeps_no_more_either(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine(context_length=LIMIT)
    with engine.open() as session:
        session.append([5] * LIMIT)
        assert session.mark().result(30) == LIMIT
        for _ in range(3):
            session.append([5])
        with pytest.raises(ContextLengthExceeded, match="the prompt has 65 tokens; context_length=64"):
            session.mark().result(30)
