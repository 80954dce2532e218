"""The real client of OpenAI against a running server with the default model."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from runtime.engine import Engine
from runtime.server.config import ServerConfig
from runtime.server.lifecycle import serve_until
from runtime.server.local_engine import LocalEngine

pytestmark = pytest.mark.model

ASKED: dict[str, Any] = {
    "model": "smollm2",
    "messages": [{"role": "user", "content": "What is the weather in Paris?"}],
    "temperature": 0,
}
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}, "unit": {"enum": ["C", "F"]}},
    "required": ["city", "unit"],
}
WEATHER: Any = {"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}


class City(BaseModel):
    name: str
    kind: Literal["town", "city"]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with Engine("smollm2", max_total_tokens=16384) as engine:
        loop = asyncio.new_event_loop()
        stop, up = asyncio.Event(), threading.Event()
        found: list[str] = []

        def ready(url: str) -> None:
            found.append(url)
            up.set()

        serving = serve_until(stop, LocalEngine(engine), ServerConfig(port=0), ready)
        thread = threading.Thread(target=lambda: loop.run_until_complete(serving))
        thread.start()
        assert up.wait(60)
        yield found[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


@pytest.fixture
def openai(url: str) -> Iterator[Any]:
    from openai import OpenAI

    with OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        yield client


def test_chat_and_stream(openai: Any) -> None:
    whole = openai.chat.completions.create(**ASKED, max_completion_tokens=12, logprobs=True, top_logprobs=2)
    text = whole.choices[0].message.content
    assert len(whole.choices[0].logprobs.content) == whole.usage.completion_tokens == 12
    options = {"include_usage": True}
    *parts, last = openai.chat.completions.create(**ASKED, max_tokens=12, stream=True, stream_options=options)
    assert "".join(part.choices[0].delta.content or "" for part in parts) == text
    assert last.usage.completion_tokens == 12
    assert last.usage.prompt_tokens_details.cached_tokens > 0


def test_parse(openai: Any) -> None:
    found = openai.chat.completions.parse(**ASKED, response_format=City, max_tokens=100)
    assert isinstance(found.choices[0].message.parsed, City)


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "weather"}}])
def test_tools_whole_and_streamed(openai: Any, choice: Any) -> None:
    asked = {**ASKED, "tools": [WEATHER], "tool_choice": choice, "parallel_tool_calls": False, "max_tokens": 100}
    (call,) = openai.chat.completions.create(**asked).choices[0].message.tool_calls
    arguments = json.loads(call.function.arguments)
    assert call.function.name == "weather"
    assert arguments["unit"] in ("C", "F")
    with openai.chat.completions.stream(**asked) as stream:
        (again,) = stream.get_final_completion().choices[0].message.tool_calls
    assert json.loads(again.function.arguments) == arguments


def test_a_conversation_with_calls_goes_on(openai: Any) -> None:
    asked = {**ASKED, "tools": [WEATHER], "max_tokens": 100}
    first = openai.chat.completions.create(**asked, tool_choice="required", parallel_tool_calls=False)
    message = first.choices[0].message
    answer = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "21 degrees"}
    messages = [*ASKED["messages"], message.model_dump(exclude_none=True), answer]
    again = openai.chat.completions.create(**{**asked, "messages": messages, "tool_choice": "none"})
    assert again.choices[0].message.content
    assert again.choices[0].message.tool_calls is None


def test_completions_and_models(openai: Any) -> None:
    found = openai.completions.create(
        model="smollm2", prompt=["The capital of France is"] * 2, max_tokens=2, temperature=0
    )
    assert [choice.text for choice in found.choices] == [" Paris."] * 2
    assert [one.id for one in openai.models.list()] == ["smollm2"]
    assert openai.models.retrieve("smollm2").id == "smollm2"


def test_responses(openai: Any) -> None:
    asked = {"model": "smollm2", "temperature": 0}
    first = openai.responses.create(**asked, input="Say hello.", max_output_tokens=8)
    assert first.output_text
    again = openai.responses.create(**asked, input="Again.", previous_response_id=first.id, max_output_tokens=4)
    assert again.usage.input_tokens > first.usage.input_tokens
    assert again.usage.input_tokens_details.cached_tokens > 0
    parsed = openai.responses.parse(**asked, input="Paris is a city.", text_format=City, max_output_tokens=100)
    assert isinstance(parsed.output_parsed, City)
    with openai.responses.stream(**asked, input="Paris is a city.", text_format=City) as stream:
        assert stream.get_final_response().output_parsed == parsed.output_parsed


def test_errors_have_their_types(openai: Any, url: str) -> None:
    import openai as package

    with pytest.raises(package.BadRequestError) as caught:
        openai.chat.completions.create(**{**ASKED, "temperature": "hot"})
    assert caught.value.param == "temperature"
    with pytest.raises(package.NotFoundError):
        openai.chat.completions.create(**{**ASKED, "model": "gpt-9"})
