from __future__ import annotations

import json
from typing import Any

import pytest

from runtime.engine import Engine

PATH = "/v1/completions"
GREEDY: dict[str, Any] = {"temperature": 0, "max_tokens": 6, "ignore_eos": True}


async def test_prompts_as_text_and_as_ids_one_and_many(post: Any, tiny_engine: Engine) -> None:
    texts = ["the theatre", "12 + 30"]
    ids = [tiny_engine.tokenizer.encode(text) for text in texts]
    answers = []
    for prompt in (texts[0], ids[0], texts, ids):
        status, body = await post(PATH, prompt=prompt, **GREEDY)
        assert status == 200
        answers.append([choice["text"] for choice in body["choices"]])
        assert [choice["index"] for choice in body["choices"]] == list(range(len(body["choices"])))
    assert answers[0] == answers[1] == answers[2][:1]
    assert answers[2] == answers[3]
    assert len(answers[2]) == 2


async def test_echo_with_log_probabilities_of_everything(post: Any, tiny_engine: Engine) -> None:
    _, body = await post(PATH, prompt="the theatre", echo=True, logprobs=2, **{**GREEDY, "max_tokens": 0})
    (choice,) = body["choices"]
    num = len(tiny_engine.tokenizer.encode("the theatre"))
    assert choice["text"] == "the theatre"
    assert "".join(choice["logprobs"]["tokens"]) == "the theatre"
    assert choice["logprobs"]["token_logprobs"][0] is None
    assert all(value < 0 for value in choice["logprobs"]["token_logprobs"][1:])
    assert [len(choice["logprobs"][name]) for name in ("tokens", "token_logprobs", "top_logprobs", "text_offset")] == [
        num
    ] * 4
    assert body["usage"]["completion_tokens"] == 0
    _, more = await post(PATH, prompt="the theatre", echo=True, logprobs=2, **GREEDY)
    assert more["choices"][0]["text"].startswith("the theatre")
    assert len(more["choices"][0]["logprobs"]["tokens"]) == num + 6
    offsets = more["choices"][0]["logprobs"]["text_offset"]
    assert offsets[num] == len("the theatre")


async def test_a_stream_says_the_same(post: Any, events: Any) -> None:
    asked = {"prompt": ["the theatre", "12"], "n": 2, "seed": 3, "max_tokens": 6, "logprobs": 1}
    _, whole = await post(PATH, **asked)
    chunks = await events(PATH, **asked, stream_options={"include_usage": True})
    texts = [""] * 4
    tokens: list[list[str]] = [[], [], [], []]
    for chunk in chunks[:-1]:
        (choice,) = chunk["choices"]
        texts[choice["index"]] += choice["text"]
        tokens[choice["index"]] += (choice["logprobs"] or {}).get("tokens", [])
    assert texts == [choice["text"] for choice in whole["choices"]]
    assert tokens == [choice["logprobs"]["tokens"] for choice in whole["choices"]]
    assert chunks[-1]["usage"]["completion_tokens"] == whole["usage"]["completion_tokens"]
    assert chunks[-1]["usage"]["prompt_tokens"] == whole["usage"]["prompt_tokens"]


@pytest.mark.parametrize("as_ids", [False, True])
async def test_prompts_are_echoed_in_a_stream_too(post: Any, events: Any, tiny_engine: Engine, as_ids: bool) -> None:
    texts = ["the theatre", "12 + 30"]
    prompts = [tiny_engine.tokenizer.encode(text) for text in texts] if as_ids else texts
    _, whole = await post(PATH, prompt=prompts, echo=True, **GREEDY)
    streamed = ["", ""]
    for chunk in await events(PATH, prompt=prompts, echo=True, **GREEDY):
        streamed[chunk["choices"][0]["index"]] += chunk["choices"][0]["text"]
    assert streamed == [choice["text"] for choice in whole["choices"]]
    assert all(one.startswith(text) and len(one) > len(text) for one, text in zip(streamed, texts, strict=True))


async def test_the_best_of_several_comes_first(post: Any) -> None:
    asked = {"prompt": "the", "seed": 1, "max_tokens": 5, "ignore_eos": True, "logprobs": 0}
    _, every = await post(PATH, **asked, n=4)
    _, best = await post(PATH, **asked, n=1, best_of=4)
    sums = {choice["text"]: sum(choice["logprobs"]["token_logprobs"]) for choice in every["choices"]}
    assert best["choices"][0]["text"] == max(sums, key=lambda text: sums[text])
    assert len(best["choices"]) == 1
    assert best["usage"]["completion_tokens"] == 20


@pytest.mark.parametrize("wrapped", [True, False])
async def test_a_schema_as_text_and_as_object(post: Any, wrapped: bool) -> None:
    schema = {"type": "object", "properties": {"a": {"enum": [1, 2]}}, "required": ["a"], "additionalProperties": False}
    given = json.dumps(schema) if wrapped else schema
    _, body = await post(PATH, prompt="x", json_schema=given, seed=1)
    assert json.loads(body["choices"][0]["text"])["a"] in (1, 2)


@pytest.mark.parametrize(
    ("fields", "texts"),
    [
        ({"regex": "ab?"}, {"a", "ab"}),
        ({"ebnf": 'root ::= "ab" | "c"'}, {"ab", "c"}),
        ({"ebnf": 'start: "ab" | "c"'}, {"ab", "c"}),
        ({"structured_outputs": {"choice": ["yes", "no"]}}, {"yes", "no"}),
        ({"structured_outputs": {"regex": "[xy]"}}, {"x", "y"}),
        ({"structured_outputs": {"json": {"enum": ["7"]}}}, {'"7"'}),
        ({"structured_outputs": {"grammar": 'root ::= "q"'}}, {"q"}),
        ({"response_format": {"type": "regex", "pattern": "z"}}, {"z"}),
        ({"response_format": {"type": "lark", "lark": 'start: "k"'}}, {"k"}),
    ],
)
async def test_every_way_to_constrain(post: Any, fields: dict[str, Any], texts: set[str]) -> None:
    status, body = await post(PATH, prompt="x", seed=4, **fields)
    assert (status, body.get("error")) == (200, None)
    assert body["choices"][0]["text"] in texts
    assert body["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "prompt"),
        ({"prompt": 5}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": ["a", 5]}, "prompt"),
        ({"prompt": [99999]}, "prompt"),
        ({"prompt": [[1], [-1]]}, "prompt[1]"),
        ({"prompt": "x", "suffix": "y"}, "suffix"),
        ({"prompt": "x", "n": 2, "best_of": 1}, "best_of"),
        ({"prompt": "x", "best_of": 2, "stream": True}, "best_of"),
        ({"prompt": ["x"] * 200}, "prompt"),
        ({"prompt": "x", "structured_outputs": {"choice": []}}, "structured_outputs.choice"),
        ({"prompt": "x", "stream_options": 5}, "stream_options"),
    ],
)
async def test_what_is_wrong_is_named(post: Any, body: dict[str, Any], param: str) -> None:
    status, answer = await post(PATH, **body)
    assert (status, answer["error"]["param"]) == (400, param)


async def test_one_bad_grammar_beside_good_requests(post: Any) -> None:
    import asyncio

    asked = [{"regex": "a+" if place % 2 else "(?P<a"} for place in range(8)]
    answers = await asyncio.gather(*(post(PATH, prompt="x", max_tokens=3, **fields) for fields in asked))
    assert [status for status, _ in answers] == [400, 200] * 4


@pytest.mark.parametrize(
    "body", [b"{", b"[1]", b"\xff\xfe", b'"\\ud800"', b"", b"[" * 100_000, b'{"prompt": "\\ud800"}']
)
async def test_what_is_no_json_object_is_refused(client: Any, body: bytes) -> None:
    async with client.post(PATH, data=body) as response:
        assert response.status == 400
        assert (await response.json())["error"]["type"] == "invalid_request_error"


async def test_a_body_that_is_too_large(make_client: Any) -> None:
    client = await make_client(max_body_bytes=1000)
    async with client.post(PATH, json={"prompt": "x" * 2000}) as response:
        assert response.status == 413
        assert (await response.json())["error"]["type"] == "invalid_request_error"


async def test_a_large_request_is_worked_out_aside(post: Any) -> None:
    small = {"prompt": ["the theatre", "12"], **GREEDY}
    _, expected = await post(PATH, **small)
    status, body = await post(PATH, **small, user="x" * 100_000)
    assert status == 200
    assert [choice["text"] for choice in body["choices"]] == [choice["text"] for choice in expected["choices"]]


async def test_whose_time_is_up_before_the_first_token_is_told_so(post: Any) -> None:
    status, body = await post(PATH, prompt="x", timeout=1e-9)
    assert (status, body["error"]["code"], body["error"]["param"]) == (408, "timeout", "timeout")
