"""The `openai` package."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

MESSAGES: Any = [{"role": "user", "content": "Name a colour."}]
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 12}, "unit": {"enum": ["C", "F"]}},
    "required": ["city", "unit"],
}
TOOLS: Any = [{"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}]


class Colour(BaseModel):
    name: Literal["red", "green"]
    share: int = Field(ge=0, le=100)


@pytest.fixture
def client(url: str, client_of: Any) -> Any:
    with client_of("openai").OpenAI(base_url=url, api_key="secret", max_retries=0, timeout=120) as made:
        yield made


def test_chat_with_every_setting(client: Any) -> None:
    answer = client.chat.completions.create(
        model="smollm2", messages=MESSAGES, n=2, seed=1, stop=["\n", "."], logit_bias={"5": -100}, logprobs=True,
        top_logprobs=2, max_completion_tokens=6,
    )  # fmt: skip
    assert [choice.index for choice in answer.choices] == [0, 1]
    for choice in answer.choices:
        assert len(choice.logprobs.content) <= 6
        assert all(len(token.top_logprobs) == 2 for token in choice.logprobs.content)
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_a_stream_is_the_answer_in_pieces(client: Any) -> None:
    asked = {"model": "smollm2", "messages": MESSAGES, "temperature": 0, "max_completion_tokens": 6}
    whole = client.chat.completions.create(**asked).choices[0].message.content
    chunks = list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == whole
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == 6


def test_parse(client: Any) -> None:
    answer = client.chat.completions.parse(model="smollm2", messages=MESSAGES, response_format=Colour, max_tokens=60)
    assert answer.choices[0].message.parsed.name in ("red", "green")


def test_parse_in_a_stream(client: Any) -> None:
    with client.chat.completions.stream(
        model="smollm2", messages=MESSAGES, response_format=Colour, max_tokens=60
    ) as stream:
        kinds = {event.type for event in stream}
        answer = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert isinstance(answer.choices[0].message.parsed, Colour)


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "weather"}}])
def test_tools(client: Any, choice: Any) -> None:
    answer = client.chat.completions.create(
        model="smollm2", messages=MESSAGES, tools=TOOLS, tool_choice=choice, parallel_tool_calls=False, max_tokens=80
    )
    (call,) = answer.choices[0].message.tool_calls
    assert call.function.name == "weather"
    assert json.loads(call.function.arguments)["unit"] in ("C", "F")


def test_a_result_of_a_tool_goes_back(client: Any) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rome","unit":"C"}'}}
    messages = [
        *MESSAGES,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "20"},
    ]
    answer = client.chat.completions.create(model="smollm2", messages=messages, tools=TOOLS, max_tokens=4)
    assert answer.choices[0].finish_reason in ("length", "stop")


def test_responses(client: Any) -> None:
    answer = client.responses.create(model="smollm2", input="Name a colour.", max_output_tokens=5)
    assert answer.output_text


def test_completions_and_models(client: Any) -> None:
    answer = client.completions.create(model="smollm2", prompt=["One,", "Two,"], max_tokens=3)
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert [model.id for model in client.models.list()] == ["smollm2"]
    assert client.models.retrieve("smollm2").id == "smollm2"


def test_errors_are_the_clients_own(client: Any, url: str, client_of: Any) -> None:
    openai = client_of("openai")
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="smollm2", messages=MESSAGES, temperature=-1)
    assert caught.value.param == "temperature"
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="gpt-9", messages=MESSAGES)
    with (
        openai.OpenAI(base_url=url, api_key="wrong", max_retries=0) as other,
        pytest.raises(openai.AuthenticationError),
    ):
        other.models.list()


def test_tools_in_a_stream(client: Any, client_of: Any) -> None:
    tool = client_of("openai").pydantic_function_tool(Colour)
    with client.chat.completions.stream(
        model="smollm2", messages=MESSAGES, tools=[tool], tool_choice="required", parallel_tool_calls=False,
        max_tokens=80,
    ) as stream:  # fmt: skip
        kinds = {event.type for event in stream}
        (call,) = stream.get_final_completion().choices[0].message.tool_calls
    assert {"tool_calls.function.arguments.delta", "tool_calls.function.arguments.done"} <= kinds
    assert isinstance(call.function.parsed_arguments, Colour)


def test_several_calls_at_once(client: Any) -> None:
    one = {"type": "function", "function": {"name": "ping"}}
    answer = client.chat.completions.create(
        model="smollm2", messages=MESSAGES, tools=[one], tool_choice="required", seed=1, max_tokens=300
    )
    calls = answer.choices[0].message.tool_calls
    assert {call.function.name for call in calls} == {"ping"}
    assert len({call.id for call in calls}) == len(calls) >= 1


def test_auto_answers_or_calls(client: Any) -> None:
    answer = client.chat.completions.create(
        model="smollm2", messages=MESSAGES, tools=TOOLS, tool_choice="auto", temperature=0, max_tokens=60
    )
    message = answer.choices[0].message
    assert message.content or message.tool_calls
    for call in message.tool_calls or ():
        assert call.function.name == "weather"


def test_json_object(client: Any) -> None:
    answer = client.chat.completions.create(
        model="smollm2", messages=[{"role": "user", "content": "A colour, as JSON."}], max_tokens=40,
        response_format={"type": "json_object"},
    )  # fmt: skip
    assert answer.choices[0].message.content.lstrip().startswith("{")


async def test_the_asynchronous_client(url: str, client_of: Any) -> None:
    async with client_of("openai").AsyncOpenAI(base_url=url, api_key="secret", max_retries=0) as client:
        stream = await client.chat.completions.create(model="smollm2", messages=MESSAGES, max_tokens=4, stream=True)
        assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream])


def test_responses_parsed_and_in_a_stream(client: Any) -> None:
    answer = client.responses.parse(model="smollm2", input="Name a colour.", text_format=Colour, max_output_tokens=60)
    assert isinstance(answer.output_parsed, Colour)
    with client.responses.stream(
        model="smollm2", input="Name a colour.", max_output_tokens=9, extra_body={"regex": "[a-z]{3}"}
    ) as stream:
        kinds = [event.type for event in stream]
        text = stream.get_final_response().output_text
    assert kinds[0] == "response.created"
    assert "response.output_text.delta" in kinds
    assert text


def test_tools_of_responses(client: Any) -> None:
    tool = {"type": "function", "name": "weather", "parameters": PARAMETERS}
    answer = client.responses.create(
        model="smollm2", input="Rome?", tools=[tool], tool_choice="required", parallel_tool_calls=False,
        max_output_tokens=80,
    )  # fmt: skip
    (call,) = [item for item in answer.output if item.type == "function_call"]
    assert call.name == "weather"
    assert json.loads(call.arguments)["unit"] in ("C", "F")


def test_completions_of_ids_echoed_and_streamed(client: Any) -> None:
    asked = {"model": "smollm2", "max_tokens": 3, "temperature": 0, "echo": True}
    whole = client.completions.create(prompt="One, two,", **asked).choices[0].text
    assert whole.startswith("One, two,")
    pieces = client.completions.create(prompt="One, two,", stream=True, **asked)
    assert "".join(piece.choices[0].text for piece in pieces) == whole
    answer = client.completions.create(prompt=[[1, 2, 3], [4, 5]], **asked)
    assert [choice.index for choice in answer.choices] == [0, 1]


def test_embeddings_are_refused_in_words(client: Any, client_of: Any) -> None:
    with pytest.raises(client_of("openai").BadRequestError, match="smollm2"):
        client.embeddings.create(model="smollm2", input="a")
