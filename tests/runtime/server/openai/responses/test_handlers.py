from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from runtime.engine import Engine
from runtime.server.keys import RUNNING

PATH = "/v1/responses"
GREEDY: dict[str, Any] = {"temperature": 0, "max_output_tokens": 6, "ignore_eos": True}
ON = {"type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"]}


@pytest.fixture
def ask(client: Any) -> Any:
    async def asked(**body: Any) -> tuple[int, Any]:
        async with client.post(PATH, json=body) as response:
            return response.status, await response.json()

    return asked


@pytest.fixture
def stream(client: Any) -> Any:
    async def asked(**body: Any) -> list[Any]:
        async with client.post(PATH, json={**body, "stream": True}) as response:
            assert response.status == 200
            text = await response.text()
        found = []
        for block in text.strip().split("\n\n"):
            name, data = block.split("\n")
            event = json.loads(data.removeprefix("data: "))
            assert name == f"event: {event['type']}"
            found.append(event)
        assert [event["sequence_number"] for event in found] == list(range(len(found)))
        return found

    return asked


async def test_text_in_and_text_out(ask: Any, tiny_engine: Engine) -> None:
    status, body = await ask(input="the theatre", instructions="Be brief.", **GREEDY)
    prompt = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nthe theatre<|im_end|>\n<|im_start|>assistant\n"
    params = {"temperature": 0, "max_new_tokens": 6, "ignore_eos": True}
    expected = await tiny_engine.async_generate(prompt, params)
    assert status == 200
    (item,) = body["output"]
    assert item["content"] == [{"type": "output_text", "text": expected["text"], "annotations": []}]
    assert (body["status"], body["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert body["usage"]["output_tokens"] == 6
    assert body["usage"]["input_tokens"] == len(tiny_engine.tokenizer.encode(prompt))


async def test_a_conversation_is_remembered_until_it_is_deleted(ask: Any, client: Any) -> None:
    _, first = await ask(input="the", **GREEDY)
    text = first["output"][0]["content"][0]["text"]
    _, second = await ask(input="there", previous_response_id=first["id"], **GREEDY)
    told = [
        {"role": "user", "content": "the"},
        {"role": "assistant", "content": [{"type": "output_text", "text": text}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "there"}]},
    ]
    _, same = await ask(input=told, store=False, **GREEDY)
    assert second["output"][0]["content"] == same["output"][0]["content"]
    assert second["usage"]["input_tokens"] == same["usage"]["input_tokens"]
    async with client.get(f"{PATH}/{first['id']}") as response:
        assert await response.json() == first
    async with client.delete(f"{PATH}/{first['id']}") as response:
        assert (await response.json())["deleted"] is True
    for name in (first["id"], same["id"]):
        async with client.get(f"{PATH}/{name}") as response:
            assert response.status == 404
    status, body = await ask(input="x", previous_response_id=first["id"], **GREEDY)
    assert (status, body["error"]["param"]) == (404, "previous_response_id")


async def test_a_schema_and_a_call(ask: Any) -> None:
    shape = {"format": {"type": "json_schema", "name": "x", "schema": ON, "strict": True}}
    _, body = await ask(input="x", text=shape, seed=1)
    assert json.loads(body["output"][0]["content"][0]["text"]).keys() == {"on"}
    assert body["status"] == "completed"
    tools = [{"type": "function", "name": "set", "parameters": ON}]
    _, body = await ask(input="x", tools=tools, tool_choice={"type": "function", "name": "set"}, seed=1)
    (call,) = body["output"]
    assert (call["type"], call["name"], call["status"]) == ("function_call", "set", "completed")
    assert json.loads(call["arguments"]).keys() == {"on"}
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "done"}
    status, _ = await ask(input=[result], previous_response_id=body["id"], tools=tools, tool_choice="none", **GREEDY)
    assert status == 200


async def test_a_stream_says_the_same(ask: Any, stream: Any) -> None:
    _, whole = await ask(input="the theatre", **GREEDY)
    found = await stream(input="the theatre", **GREEDY)
    kinds = [event["type"] for event in found]
    deltas = [event["delta"] for event in found if event["type"] == "response.output_text.delta"]
    assert kinds[:4] == [
        "response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
    ]  # fmt: skip
    assert kinds[-4:] == [
        "response.output_text.done", "response.content_part.done", "response.output_item.done", "response.incomplete",
    ]  # fmt: skip
    assert "".join(deltas) == whole["output"][0]["content"][0]["text"]
    assert found[-1]["response"]["output"][0]["content"] == whole["output"][0]["content"]
    assert found[2]["item"]["content"] == []


async def test_a_cancelled_stream_says_so(client: Any) -> None:
    async with client.post(PATH, json={"input": "x", "ignore_eos": True, "stream": True}) as response:
        await response.content.readline()
        assert client.app[RUNNING].cancel() == 1
        async with asyncio.timeout(20):
            text = await response.text()
    assert text.rstrip().split("\n\n")[-1].startswith("event: response.failed")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "input"),
        ({"input": 5}, "input"),
        ({"input": []}, "input"),
        ({"input": [{"type": "poem"}]}, "input[0].type"),
        ({"input": [{"role": "poet", "content": "x"}]}, "input"),
        ({"input": "x", "max_output_tokens": 0}, "max_output_tokens"),
        ({"input": "x", "temperature": -1}, "temperature"),
        ({"input": "x", "text": {"format": {"type": "poem"}}}, "text.format"),
        ({"input": "x", "tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"input": "x", "background": True}, "background"),
    ],
)
async def test_what_is_wrong_is_named(ask: Any, body: dict[str, Any], param: str) -> None:
    status, answer = await ask(**body)
    assert (status, answer["error"]["param"]) == (400, param)
