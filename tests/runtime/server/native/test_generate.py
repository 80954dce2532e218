from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from runtime.engine import Engine

GREEDY = {"max_new_tokens": 6, "temperature": 0, "ignore_eos": True}
LONG = {"max_new_tokens": 400, "temperature": 0, "ignore_eos": True}


def events(body: str) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in body.split("\n\n") if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


async def test_text_and_ids_give_what_the_engine_gives(client: Any, tiny_engine: Engine) -> None:
    wanted = tiny_engine.generate("the theatre", GREEDY)
    ids = tiny_engine.tokenizer.encode("the theatre")
    for body in ({"text": "the theatre"}, {"input_ids": ids}):
        response = await client.post("/generate", json={**body, "sampling_params": GREEDY, "rid": "mine"})
        found = await response.json()
        assert found["text"] == wanted["text"]
        assert found["output_ids"] == wanted["output_ids"]
        meta = found["meta_info"]
        assert meta["id"] == "mine"
        assert meta["finish_reason"] == {"type": "length"}
        assert (meta["prompt_tokens"], meta["completion_tokens"]) == (len(ids), 6)
        assert meta["cached_tokens"] <= len(ids)
        assert meta["e2e_latency"] > 0


async def test_a_list_gives_a_list_and_n_gives_n(client: Any) -> None:
    body = {"text": ["the", "answer"], "sampling_params": [GREEDY, {**GREEDY, "max_new_tokens": 2}]}
    found = await (await client.post("/generate", json=body)).json()
    assert [one["meta_info"]["completion_tokens"] for one in found] == [6, 2]
    sampled = {**GREEDY, "n": 3, "temperature": 2.0, "seed": 5}
    found = await (await client.post("/generate", json={"text": "the", "sampling_params": sampled})).json()
    assert len({one["text"] for one in found}) > 1


async def test_a_stream_holds_the_text_so_far(client: Any, tiny_engine: Engine) -> None:
    body = {"text": "the theatre", "sampling_params": LONG, "stream": True}
    response = await client.post("/generate", json=body)
    assert response.headers["Content-Type"].startswith("text/event-stream")
    assert response.headers["X-Accel-Buffering"] == "no"
    found = events(await response.text())
    texts = [event["text"] for event in found]
    assert len(texts) > 1
    assert all(later.startswith(earlier) for earlier, later in pairwise(texts))
    assert texts[-1] == tiny_engine.generate("the theatre", LONG)["text"]
    assert [event["meta_info"]["finish_reason"] for event in found[:-1]] == [None] * (len(found) - 1)
    assert {event["meta_info"]["prompt_tokens"] for event in found} == {found[-1]["meta_info"]["prompt_tokens"]}


async def test_a_stream_of_several_says_which(client: Any) -> None:
    body = {"text": ["the", "answer"], "sampling_params": GREEDY, "stream": True}
    found = events(await (await client.post("/generate", json=body)).text())
    ends = {event["index"]: event for event in found if event["meta_info"]["finish_reason"] is not None}
    assert sorted(ends) == [0, 1]


async def test_log_probabilities_come_in_sglangs_shape(client: Any, tiny_engine: Engine) -> None:
    asked = {"return_logprob": True, "logprob_start_len": 0, "top_logprobs_num": 2, "return_text_in_logprobs": True}
    body = {"text": "the theatre", "sampling_params": GREEDY, **asked}
    meta = (await (await client.post("/generate", json=body)).json())["meta_info"]
    decode = tiny_engine.tokenizer.decode
    assert [entry[2] for entry in meta["output_token_logprobs"]] == [
        decode([entry[1]], skip_special_tokens=False) for entry in meta["output_token_logprobs"]
    ]
    assert all(len(entry) == 2 for entry in meta["output_top_logprobs"])
    assert meta["output_top_logprobs"][0][0][:2] == meta["output_token_logprobs"][0][:2]
    assert len(meta["input_token_logprobs"]) > 0
    plain = await (await client.post("/generate", json={**body, "logprob_start_len": -1})).json()
    assert "input_token_logprobs" not in plain["meta_info"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "text"),
        ({"text": "a", "input_ids": [1]}, "input_ids"),
        ({"text": 5}, "text"),
        ({"text": "a", "stream": "yes"}, "stream"),
        ({"text": "a", "image_data": "x"}, "image_data"),
        ({"text": "a", "sampling_params": {"temperature": "hot"}}, "temperature"),
        ({"text": ["a", "b"], "sampling_params": [{}]}, "sampling_params"),
        ({"text": ["a", "b"], "rid": ["x"]}, "rid"),
        ({"text": "a", "sampling_params": {"n": 5000}}, "text"),
        ({"text": []}, "text"),
        ({"text": "a", "logprob_start_len": -2, "return_logprob": True}, "logprob_start_len"),
        ({"text": "a", "top_logprobs_num": 10**6, "return_logprob": True}, "top_logprobs"),
        ({"input_ids": [10**6]}, "input_ids"),
    ],
)
async def test_what_is_wrong_is_named(
    client: Any,
    tiny_engine: Engine,
    assert_nothing_held: Callable[[Engine], None],
    body: dict[str, Any],
    param: str,
) -> None:
    response = await client.post("/generate", json=body)
    assert response.status == 400, await response.text()
    assert (await response.json())["error"]["param"] == param
    assert_nothing_held(tiny_engine)


async def test_a_bad_grammar_is_the_requests_own_fault_in_a_stream_too(client: Any) -> None:
    for stream in (False, True):
        bad = {"text": "a", "sampling_params": {"lark": "start: ("}, "stream": stream}
        good = {"text": "a", "sampling_params": {**GREEDY, "regex": "[0-9]{3}"}}
        refused, served = await asyncio.gather(client.post("/generate", json=bad), client.post("/generate", json=good))
        assert refused.status == 400
        assert (await refused.json())["error"]["code"] == "invalid_grammar"
        assert (await served.json())["text"].isdigit()


async def test_unknown_fields_and_parameters_are_ignored(client: Any, caplog: pytest.LogCaptureFixture) -> None:
    body = {"text": "a", "sampling_params": {**GREEDY, "spaces_between_special_tokens": True}, "new_field": 1}
    for _ in range(2):
        assert (await client.post("/generate", json=body)).status == 200
    assert caplog.text.count("spaces_between_special_tokens") == 1
    assert caplog.text.count("new_field") == 1


async def test_a_client_that_goes_away_frees_everything(
    client: Any, tiny_engine: Engine, assert_nothing_held: Callable[[Engine], None]
) -> None:
    for stream in (False, True):
        body = {"text": ["the", "answer"], "sampling_params": {**LONG, "n": 3}, "stream": stream}
        asking = asyncio.ensure_future(client.post("/generate", json=body))
        async with asyncio.timeout(10):
            while tiny_engine.stats()["running"] < 6:
                await asyncio.sleep(0.001)
        asking.cancel() if not asking.done() else asking.result().close()
        async with asyncio.timeout(5):
            while tiny_engine.stats()["running"]:
                await asyncio.sleep(0.001)
        assert_nothing_held(tiny_engine)


async def test_aborted_requests_answer_with_what_there_was(client: Any, tiny_engine: Engine) -> None:
    async def aborted(rid: str, order: dict[str, Any]) -> dict[str, Any]:
        body = {"text": "the", "sampling_params": LONG, "rid": rid}
        asking = asyncio.ensure_future(client.post("/generate", json=body))
        async with asyncio.timeout(10):
            while not tiny_engine.stats()["running"]:
                await asyncio.sleep(0.001)
        answer = await client.post("/abort_request", json=order)
        assert await answer.json() == {"success": True, "aborted": 1}
        found: dict[str, Any] = await (await asking).json()
        return found

    for order in ({"rid": "mine"}, {"abort_all": True}):
        found = await aborted("mine", order)
        assert found["meta_info"]["finish_reason"]["type"] == "abort"
        assert found["meta_info"]["completion_tokens"] < 400
    assert (await (await client.post("/abort_request", json={"rid": "nobody"})).json())["aborted"] == 0
    assert (await client.post("/abort_request", json={})).status == 400
