from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

BODY = {"prompt": "an unlikely text", "max_tokens": 3, "ignore_eos": True, "user": "somebody"}


async def test_request_ids_come_and_go(client: Any) -> None:
    async with client.get("/v1/models", headers={"X-Request-Id": "my-id_1"}) as response:
        assert response.headers["X-Request-Id"] == "my-id_1"
    seen = set()
    for given in ({}, {"X-Request-Id": "x" * 129}, {"X-Request-Id": "two words"}):
        async with client.get("/nowhere", headers=given) as response:
            seen.add(response.headers["X-Request-Id"])
    assert len(seen) == 3
    assert all(len(one) == 32 for one in seen)
    async with client.post("/v1/completions", json=BODY | {"stream": True}) as response:
        assert len(response.headers["X-Request-Id"]) == 32


async def test_a_line_for_every_request(make_client: Any, caplog: pytest.LogCaptureFixture) -> None:
    client = await make_client(log_json=True, api_keys=("k",))
    headers = {"Authorization": "Bearer k", "X-Request-Id": "one"}
    with caplog.at_level(logging.INFO, "sgdsl.access"):
        async with client.post("/v1/completions", json=BODY, headers=headers) as response:
            usage = (await response.json())["usage"]
        async with client.post("/v1/completions", json=BODY | {"stream": True, "n": 2}, headers=headers) as response:
            await response.read()
        async with client.post("/generate", json={"text": "an unlikely text"}, headers={}):
            pass
    lines = [json.loads(record.message) for record in caplog.records if record.name == "sgdsl.access"]
    assert "unlikely" not in caplog.text
    assert "somebody" not in caplog.text
    first, second, third = lines
    assert first.pop("ms") > 0
    assert datetime.now(UTC) - datetime.fromisoformat(first.pop("time")) < timedelta(minutes=5)
    assert first == {
        "id": "one",
        "key": "api-key",
        "method": "POST",
        "path": "/v1/completions",
        "status": 200,
        "prompt_tokens": usage["prompt_tokens"],
        "cached_tokens": 0,
        "completion_tokens": 3,
        "finish_reasons": ["length"],
    }
    assert (second["prompt_tokens"], second["completion_tokens"]) == (usage["prompt_tokens"], 6)
    assert (third["status"], third["key"], third["completion_tokens"]) == (401, None, 0)


async def test_native_generations_are_counted_too(make_client: Any, caplog: pytest.LogCaptureFixture) -> None:
    client = await make_client(log_json=True)
    params = {"max_new_tokens": 4, "ignore_eos": True}
    with caplog.at_level(logging.INFO, "sgdsl.access"):
        async with client.post("/generate", json={"text": ["abc", "abcd"], "sampling_params": params}) as response:
            answers = await response.json()
    line = json.loads(next(record.message for record in caplog.records if record.name == "sgdsl.access"))
    assert line["completion_tokens"] == 8
    assert line["prompt_tokens"] == sum(one["meta_info"]["prompt_tokens"] for one in answers)


async def test_no_lines_unless_asked_for(client: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "sgdsl.access"):
        async with client.get("/v1/models"):
            pass
    assert caplog.records == []
