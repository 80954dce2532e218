from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from runtime.engine import Engine
from runtime.server.keys import ENGINE

CHAT = "/v1/chat/completions"
USER = [{"role": "user", "content": "the theatre"}]
GREEDY: dict[str, Any] = {"messages": USER, "temperature": 0, "max_tokens": 8, "ignore_eos": True}


async def test_an_answer_is_what_the_engine_writes_after_the_template(post: Any, tiny_engine: Engine) -> None:
    status, body = await post(CHAT, **GREEDY)
    prompt = "<|im_start|>user\nthe theatre<|im_end|>\n<|im_start|>assistant\n"
    params = {"temperature": 0, "max_new_tokens": 8, "ignore_eos": True}
    expected = await tiny_engine.async_generate(prompt, params)
    assert status == 200
    (choice,) = body["choices"]
    assert choice["message"] == {"role": "assistant", "content": expected["text"], "refusal": None}
    assert choice["finish_reason"] == "length"
    num_prompt = len(tiny_engine.tokenizer.encode(prompt))
    assert body["usage"]["prompt_tokens"] == num_prompt
    assert body["usage"]["completion_tokens"] == 8
    assert body["usage"]["total_tokens"] == num_prompt + 8
    assert body["usage"]["prompt_tokens_details"] == {"cached_tokens": 0}
    assert (body["object"], body["model"]) == ("chat.completion", "tiny")
    assert body["system_fingerprint"].startswith("fp_")
    _, again = await post(CHAT, **GREEDY)
    assert again["choices"][0]["message"] == choice["message"]
    assert again["usage"]["prompt_tokens_details"]["cached_tokens"] >= num_prompt - 16
    assert again["id"] != body["id"]


async def test_a_stream_says_the_same(post: Any, events: Any) -> None:
    asked = {**GREEDY, "n": 2, "temperature": 1.0, "seed": 5}
    _, whole = await post(CHAT, **asked)
    chunks = await events(CHAT, **asked, stream_options={"include_usage": True})
    texts = ["", ""]
    reasons: list[Any] = [None, None]
    *parts, last = chunks
    for part in parts:
        assert part["usage"] is None
        (choice,) = part["choices"]
        texts[choice["index"]] += choice["delta"].get("content", "")
        reasons[choice["index"]] = choice["finish_reason"] or reasons[choice["index"]]
    assert [part["choices"][0]["delta"].get("role") for part in parts[:2]] == ["assistant", "assistant"]
    assert texts == [choice["message"]["content"] for choice in whole["choices"]]
    assert texts[0] != texts[1]
    assert reasons == ["length", "length"]
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == whole["usage"]["completion_tokens"] == 16
    assert len({part["id"] for part in chunks}) == 1


async def test_continuous_usage_grows_with_the_text(events: Any) -> None:
    options = {"include_usage": True, "continuous_usage_stats": True}
    *parts, _ = await events(CHAT, **GREEDY, stream_options=options)
    counts = [part["usage"]["completion_tokens"] for part in parts]
    assert counts == sorted(counts)
    assert counts[-1] == 8
    assert len({part["usage"]["prompt_tokens"] for part in parts}) == 1


async def test_log_probabilities_name_token_and_alternatives(post: Any, events: Any) -> None:
    asked = {**GREEDY, "logprobs": True, "top_logprobs": 3}
    _, body = await post(CHAT, **asked)
    content = body["choices"][0]["logprobs"]["content"]
    assert len(content) == 8
    for entry in content:
        assert entry["top_logprobs"][0]["token"] == entry["token"]  # greedy takes the likeliest
        assert len(entry["top_logprobs"]) == 3
        assert entry["logprob"] == pytest.approx(entry["top_logprobs"][0]["logprob"])
    parts = await events(CHAT, **asked)
    streamed = [one for part in parts if (found := part["choices"][0]["logprobs"]) for one in found["content"]]
    assert [one["token"] for one in streamed] == [one["token"] for one in content]


async def test_an_omitted_length_goes_to_the_end_of_the_context(post: Any) -> None:
    _, body = await post(CHAT, messages=USER, temperature=0, ignore_eos=True)
    assert body["usage"]["total_tokens"] == 512
    assert body["choices"][0]["finish_reason"] == "length"


async def test_stops_and_the_other_name_of_the_length(post: Any) -> None:
    _, free = await post(CHAT, **GREEDY)
    text = free["choices"][0]["message"]["content"]
    _, body = await post(CHAT, **GREEDY, stop=text[3:5])
    assert body["choices"][0]["message"]["content"] == text[: text.index(text[3:5])]
    assert (body["choices"][0]["finish_reason"], body["choices"][0]["matched_stop"]) == ("stop", text[3:5])
    asked = {name: value for name, value in GREEDY.items() if name != "max_tokens"}
    _, short = await post(CHAT, **asked, max_completion_tokens=2)
    assert short["usage"]["completion_tokens"] == 2


async def test_a_schema_is_kept_to(post: Any) -> None:
    schema = {"type": "object", "properties": {"yes": {"type": "boolean"}}, "required": ["yes"]}
    shape = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": schema}}
    _, body = await post(CHAT, messages=USER, response_format=shape, seed=1)
    assert json.loads(body["choices"][0]["message"]["content"]).keys() == {"yes"}
    assert body["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": -1}, "temperature"),
        ({"max_tokens": 2.5}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_completion_tokens": 9}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": [{"role": "poet", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0].type"),
        ({"n": 0}, "n"),
        ({"n": 1000}, "n"),
        ({"stop": 5}, "stop"),
        ({"stop": ["x"] * 10_000}, "stop"),
        ({"stop": "x" * 100_000}, "stop"),
        ({"stop_regex": r"(a)\1"}, "stop_regex"),
        ({"logit_bias": {"x": 1}}, "logit_bias"),
        ({"logit_bias": {"999999": 1}}, "logit_bias"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"regex": "("}, None),
        ({"regex": "a", "ebnf": "b"}, "ebnf"),
        ({"response_format": {"type": "poem"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema.schema"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].function.name"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"chat_template_kwargs": {"messages": []}}, "chat_template_kwargs.messages"),
        ({"continue_final_message": True}, "continue_final_message"),
        ({"model": "gpt-9"}, "model"),
    ],
)
async def test_what_is_wrong_is_named(post: Any, change: dict[str, Any], param: str | None) -> None:
    status, body = await post(CHAT, **{**GREEDY, **change})
    assert status == (404 if param == "model" else 400)
    assert body["error"]["param"] == param
    assert (param or "").partition("[")[0].partition(".")[0] in body["error"]["message"]


async def test_a_long_conversation_is_refused_before_anything_runs(post: Any, events: Any, client: Any) -> None:
    long = {**GREEDY, "messages": [{"role": "user", "content": "theatre " * 2000}]}
    status, body = await post(CHAT, **long)
    assert (status, body["error"]["code"]) == (400, "context_length_exceeded")
    async with client.post(CHAT, json={**long, "stream": True}) as response:
        assert response.status == 400


async def test_an_unsatisfiable_schema_has_a_status_even_where_a_stream_was_asked_for(client: Any) -> None:
    shape = {"type": "json_schema", "json_schema": {"schema": {"type": "integer", "minimum": 5, "maximum": 1}}}
    async with client.post(CHAT, json={**GREEDY, "response_format": shape, "stream": True}) as response:
        assert response.status == 400
        assert (await response.json())["error"]["code"] == "invalid_grammar"


async def test_special_tokens_are_shown_where_they_are_asked_for(post: Any, events: Any) -> None:
    asked = {**GREEDY, "max_tokens": 2, "logit_bias": {"1": 1000}}
    for skips, text in ((True, ""), (False, "<s><s>")):
        _, body = await post(CHAT, **asked, skip_special_tokens=skips)
        assert body["choices"][0]["message"]["content"] == text
        parts = await events(CHAT, **asked, skip_special_tokens=skips)
        assert "".join(part["choices"][0]["delta"].get("content", "") for part in parts) == text


async def test_unknown_fields_are_said_once(post: Any, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        status, _ = await post(CHAT, **GREEDY, brand_new=1)
        assert status == 200
    assert [record.message for record in caplog.records if "brand_new" in record.message] == [
        f"{CHAT}: field 'brand_new' is not known here and is ignored"
    ]


async def test_thoughts_are_kept_apart_and_a_constraint_begins_behind_them(
    make_engine: Callable[..., Engine], make_client: Any
) -> None:
    from runtime.server.local_engine import LocalEngine

    template = "{% for m in messages %}{{ m.content }}{% endfor %}{% if add_generation_prompt %}<think>{% endif %}"
    client = await make_client(LocalEngine(make_engine(chat_template=template)))
    end = client.app[ENGINE].tokenizer.encode("</think>")
    asked = {**GREEDY, "regex": "yes", "max_tokens": 60, "logit_bias": {str(end[0]): 1000}}
    async with client.post(CHAT, json=asked) as response:
        message = (await response.json())["choices"][0]["message"]
    assert message["content"] in ("", "yes")
    assert message["reasoning_content"]
    async with client.post(CHAT, json={**asked, "separate_reasoning": False}) as response:
        whole = (await response.json())["choices"][0]["message"]
    assert "reasoning_content" not in whole
    assert whole["content"].startswith(message["reasoning_content"])
