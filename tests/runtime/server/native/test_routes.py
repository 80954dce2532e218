from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

from runtime.engine import Engine
from runtime.errors import EngineClosed
from runtime.handle import Handle
from runtime.server.local_engine import LocalEngine
from runtime.server.native.readiness import Readiness


async def got(client: Any, path: str) -> Any:
    response = await client.get(path)
    assert response.status == 200, await response.text()
    return await response.json()


async def test_texts_to_tokens_and_back(client: Any, tiny_engine: Engine) -> None:
    text = "the theatre été"
    ids = tiny_engine.tokenizer.encode(text)
    for name in ("text", "prompt"):
        found = await (await client.post("/tokenize", json={name: text})).json()
        assert found == {"tokens": ids, "count": len(ids), "max_model_len": tiny_engine.context_length}
    many = ["the", text * 3000]
    found = await (await client.post("/tokenize", json={"text": many})).json()
    assert found["tokens"] == tiny_engine.tokenizer.encode_batch(many)
    back = await (await client.post("/detokenize", json={"tokens": found["tokens"]})).json()
    assert back == {"text": many}
    assert (await (await client.post("/detokenize", json={"input_ids": ids})).json())["text"] == text
    assert (await (await client.post("/detokenize", json={"tokens": []})).json())["text"] == ""


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/tokenize", {}, "text"),
        ("/tokenize", {"text": [1]}, "text"),
        ("/detokenize", {}, "tokens"),
        ("/detokenize", {"tokens": [1, -1]}, "tokens"),
        ("/detokenize", {"tokens": [10**9]}, "tokens"),
    ],
)
async def test_what_is_wrong_with_texts(client: Any, path: str, body: dict[str, Any], param: str) -> None:
    response = await client.post(path, json=body)
    assert response.status == 400
    assert (await response.json())["error"]["param"] == param


async def test_the_server_says_what_it_runs(client: Any, tiny_engine: Engine) -> None:
    for path in ("/server_info", "/get_server_info"):
        info = await got(client, path)
        assert info["settings"]["max_total_tokens"]["became"] == info["max_total_num_tokens"] == 4096
        assert info["settings"]["max_total_tokens"]["asked"] == 4096
        assert "limited by" in info["concurrency"]
        assert info["ledger"]["total"] == 4096
        assert info["stats"]["ledger"] == info["ledger"]
        assert info["pid"] == os.getpid()
        assert info["uptime_seconds"] >= 0
    for path in ("/model_info", "/get_model_info"):
        model = await got(client, path)
        assert model["model_path"] == "tiny"
        assert model["context_length"] == tiny_engine.context_length
        assert model["is_generation"]


async def test_the_cache_tells_prefixes_and_holders(client: Any, tiny_engine: Engine) -> None:
    text = "the theatre there, then the thin thing thinks that those other things are there; " * 3
    await client.post("/generate", json={"text": text, "sampling_params": {"max_new_tokens": 1}})
    body = {"text": text, "sampling_params": {"max_new_tokens": 1}, "cache_salt": "tenant"}
    await client.post("/generate", json=body)
    pin = tiny_engine.pin(text, 100.0)
    opened = await (await client.post("/sessions", json={"text": text, "program": "mine"})).json()
    await client.post(f"/sessions/{opened['id']}/generate", json={"sampling_params": {"max_new_tokens": 1}})
    found = await got(client, "/cache?limit=50&characters=200")
    assert found["ledger"]["total"] == 4096
    assert found["ledger"]["tree"] == sum(found["namespaces"].values()) > 0
    assert set(found["namespaces"]) == {"", "tenant"}
    assert any(
        node["text"] and text.startswith(node["text"].removesuffix("…")) and node["start"] == 0
        for node in found["nodes"]
    )
    assert any(node["pinned"] and node["locks"] for node in found["nodes"])
    assert [one["name"] for one in found["pins"]] == [pin]
    assert tiny_engine.unpin(pin)
    (holder,) = [one for one in found["holders"] if one["program"] == "mine"]
    assert holder["owner"] == "session"
    assert holder["shared_pages"] > 0
    own = await got(client, "/cache?namespace=tenant")
    assert {node["namespace"] for node in own["nodes"]} == {"tenant"}
    assert len((await got(client, "/cache?limit=1"))["nodes"]) == 1
    for query in ("limit=0", "limit=x", "limit=" + "9" * 5000, "characters=-1", "limit=١"):
        assert (await client.get(f"/cache?{query}")).status == 400


async def test_flushing_empties_the_cache(client: Any) -> None:
    for method in ("GET", "POST"):
        await client.post("/generate", json={"text": "x" * 100, "sampling_params": {"max_new_tokens": 1}})
        found = await (await client.request(method, "/flush_cache")).json()
        assert found["success"]
        assert found["flushed_tokens"] > 0
        assert (await got(client, "/cache"))["nodes"] == []


async def test_readiness_makes_one_token_however_many_ask(client: Any, tiny_engine: Engine) -> None:
    before = tiny_engine.stats()["generated_tokens"]
    assert [one.status for one in await asyncio.gather(*(client.get("/health_generate") for _ in range(20)))] == [
        200
    ] * 20
    assert tiny_engine.stats()["generated_tokens"] == before + 1


class _Silent(LocalEngine):
    """As one that hangs: it takes questions and answers none."""

    def stats(self) -> Handle[dict[str, Any]]:
        return Handle()


async def test_readiness_waits_no_longer_than_it_may_for_an_engine_that_hangs(tiny_engine: Engine) -> None:
    readiness = Readiness(_Silent(tiny_engine), limit_seconds=0.01)
    async with asyncio.timeout(30):
        with pytest.raises(EngineClosed, match=r"no token for 0\.01 s"):
            await readiness.check()


async def test_readiness_is_red_when_the_engine_is_gone(make_client: Any, engine: Engine) -> None:
    client = await make_client(LocalEngine(engine))
    engine.shutdown()
    response = await client.get("/health_generate")
    assert response.status == 503
    assert response.headers["Retry-After"]
    assert (await client.get("/health")).status == 200
    refused = await client.post("/generate", json={"text": "a"})
    assert refused.status == 503
    assert (await refused.json())["error"]["code"] == "engine_unavailable"
