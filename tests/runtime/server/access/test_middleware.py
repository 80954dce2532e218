from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from runtime.server.access.middleware import ADMIN_PATHS
from runtime.server.keys import ENGINE, RUNNING
from runtime.wire import messages as wire

PROMPT = "the same beginning, long enough to fill a page or two of the cache"
LONG = {"prompt": "abc", "max_tokens": 2000, "ignore_eos": True, "stream": True}


@pytest.mark.parametrize("path", sorted(ADMIN_PATHS))
async def test_admins_alone(guarded: Any, path: str) -> None:
    statuses = []
    for headers in ({}, guarded.headers("alice"), guarded.headers("root")):
        async with guarded.client.get(path, headers=headers) as response:
            statuses.append(response.status)
    assert statuses[:2] == [401, 403]
    assert statuses[2] in (200, 501)


async def test_an_admins_path_in_disguise(guarded: Any) -> None:
    for path in ("/%63ache", "/cache/", "/./cache", "/CACHE"):
        async with guarded.client.get(path, headers=guarded.headers("alice")) as response:
            assert response.status in (403, 404)


async def test_metrics_for_all_where_that_is_wanted(make_client: Any) -> None:
    client = await make_client(api_keys=("k",), open_metrics=True)
    async with client.get("/metrics") as response:
        assert response.status == 200
    async with client.get("/cache") as response:
        assert response.status == 401


async def _cached(guarded: Any, name: str, salt: str | None = None) -> int:
    body = {"prompt": PROMPT, "max_tokens": 1, "cache_salt": salt}
    async with guarded.client.post("/v1/completions", json=body, headers=guarded.headers(name)) as response:
        assert response.status == 200
        usage = (await response.json())["usage"]
    return int(usage["prompt_tokens_details"]["cached_tokens"])


async def test_nobody_finds_what_another_has_cached(guarded: Any) -> None:
    assert await _cached(guarded, "alice") == 0
    assert await _cached(guarded, "alice") > 0
    assert await _cached(guarded, "bob") == 0
    assert await _cached(guarded, "bob", "alice/") == 0
    assert await _cached(guarded, "shared") == 0
    assert await _cached(guarded, "shared", "alice/") == 0
    assert await _cached(guarded, "alice", "salt") == 0
    assert await _cached(guarded, "shared") > 0


async def test_every_way_in_keeps_to_the_tenants_own(guarded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever opens a session for a request does so in the namespace of whoever asks."""
    client, headers = guarded.client, guarded.headers("bob")
    engine = client.server.app[ENGINE]
    opened: list[str] = []
    opening = engine.open

    def recorded(*, namespace: str = "", program: str = "") -> Any:
        opened.append(namespace)
        return opening(namespace=namespace, program=program)

    monkeypatch.setattr(engine, "open", recorded)
    message = [{"role": "user", "content": "hi"}]
    bodies: dict[str, Any] = {
        "/v1/completions": {"prompt": "abc", "max_tokens": 1, "cache_salt": "s"},
        "/v1/chat/completions": {"messages": message, "max_tokens": 1, "cache_salt": "s"},
        "/v1/responses": {"input": "hi", "max_output_tokens": 1},
        "/generate": {"text": "abc", "sampling_params": {"max_new_tokens": 1}, "cache_salt": "s"},
        "/sessions": {"text": "abc", "namespace": "s"},
    }
    for path, body in bodies.items():
        before = len(opened)
        async with client.post(path, json=body, headers=headers) as response:
            assert response.status == 200, await response.text()
        assert len(opened) > before
    async with client.ws_connect(wire.PATH, headers=headers) as socket:
        await socket.receive()
        before = len(opened)
        script = wire.Script(1, (wire.Open("s", ""), wire.Append("abc"), wire.Mark(1)))
        await socket.send_str(wire.write_frame([script]))
        await socket.receive()
        assert len(opened) > before
    opened.remove("fingerprint")  # what a client of sessions is greeted with; no request stands in it
    assert {name.partition("/")[0] for name in opened} == {"bob"}


async def test_requests_at_once(guarded: Any) -> None:
    client = guarded.client
    async with client.post("/v1/completions", json=LONG, headers=guarded.headers("alice")) as running:
        assert running.status == 200
        for name, status in (("alice", 429), ("bob", 200)):
            async with client.post("/tokenize", json={"text": "a"}, headers=guarded.headers(name)) as response:
                assert response.status == status
                assert status == 200 or response.headers["Retry-After"] == "1"
        async with client.get("/v1/models", headers=guarded.headers("alice")) as response:
            assert response.status == 200
    while len(client.server.app[RUNNING]):
        await asyncio.sleep(0.01)
    async with client.post("/tokenize", json={"text": "a"}, headers=guarded.headers("alice")) as response:
        assert response.status == 200


async def test_only_an_admin_aborts_what_is_not_its_own(guarded: Any) -> None:
    client = guarded.client

    async def aborted(name: str, **body: Any) -> int:
        async with client.post("/abort_request", json=body, headers=guarded.headers(name)) as response:
            return int((await response.json())["aborted"])

    async with client.post("/v1/completions", json=LONG | {"rid": "mine"}, headers=guarded.headers("bob")) as running:
        assert await aborted("shared", rid="mine") == await aborted("shared", abort_all=True) == 0
        assert await aborted("root", rid="other") == 0
        assert await aborted("bob", rid="mine") == 1
        text = await running.text()
    assert json.loads(text.split("data: ")[-2])["error"]["code"] == "cancelled"
    async with client.post("/v1/completions", json=LONG, headers=guarded.headers("bob")) as running:
        assert await aborted("root", abort_all=True) == 1
        await running.read()


async def test_who_has_no_key_is_told_so(make_client: Any) -> None:
    client = await make_client(api_keys=("first", "second"))
    for header in ({}, {"Authorization": "Bearer other"}, {"Authorization": "Basic first"}):
        async with client.get("/v1/models", headers=header) as response:
            body = await response.json()
        assert response.status == 401
        assert body["error"]["code"] == "invalid_api_key"
        assert response.headers["WWW-Authenticate"] == "Bearer"
    for key in ("first", "second"):
        async with client.get("/v1/models", headers={"Authorization": f"Bearer {key}"}) as response:
            assert response.status == 200
    async with client.get("/health") as response:
        assert response.status == 200
