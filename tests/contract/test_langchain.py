"""`langchain-openai`."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field


class Colour(BaseModel):
    """A colour."""

    name: Literal["red", "green"]
    share: int = Field(ge=0, le=100)


@pytest.fixture
def chat(url: str, client_of: Any) -> Any:
    return client_of("langchain_openai").ChatOpenAI(
        base_url=url, api_key="secret", model="smollm2", max_tokens=60, temperature=0, max_retries=0, timeout=120
    )


def test_invoke(chat: Any) -> None:
    first, again = (chat.invoke("Name a colour.", max_tokens=5) for _ in range(2))
    assert first.content == again.content != ""
    assert first.usage_metadata["output_tokens"] == 5
    assert again.usage_metadata["input_token_details"]["cache_read"] > 0


def test_stream(chat: Any) -> None:
    pieces = [chunk.content for chunk in chat.stream("Name a colour.", max_tokens=5)]
    assert "".join(pieces) == chat.invoke("Name a colour.", max_tokens=5).content
    assert sum(map(bool, pieces)) > 1


async def test_async(chat: Any) -> None:
    # One test: the client keeps its connections beyond the loop that made them.
    assert (await chat.ainvoke("Name a colour.", max_tokens=3)).content
    assert "".join([chunk.content async for chunk in chat.astream("Name a colour.", max_tokens=4)])


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_structured_output(chat: Any, method: str) -> None:
    assert isinstance(chat.with_structured_output(Colour, method=method).invoke("Name a colour."), Colour)


def test_json_mode(chat: Any, client_of: Any) -> None:
    # An object of any shape may be longer than its limit: that it begins as one is what can be promised.
    try:
        text = chat.bind(response_format={"type": "json_object"}).invoke("A colour, as JSON.").content
    except client_of("openai").LengthFinishReasonError as error:
        text = error.completion.choices[0].message.content
    assert text.lstrip().startswith("{")


def test_tools(chat: Any) -> None:
    calls = chat.bind_tools([Colour], tool_choice="any").invoke("Name a colour.").tool_calls
    assert calls[0]["name"] == "Colour"
    assert calls[0]["args"]["name"] in ("red", "green")


def test_a_regex_beside_the_messages(chat: Any) -> None:
    answer = chat.bind(extra_body={"regex": "(Oslo|Rome)"}).invoke("Where to?")
    assert answer.content in ("Oslo", "Rome")


def test_tools_in_a_stream_and_their_results(chat: Any, client_of: Any) -> None:
    messages = client_of("langchain_core.messages")
    caller = chat.bind_tools([Colour], tool_choice="any", parallel_tool_calls=False)
    whole, *rest = caller.stream("Name a colour.")
    for chunk in rest:
        whole += chunk
    (call,) = whole.tool_calls
    assert call["args"]["name"] in ("red", "green")
    talk = [messages.HumanMessage("Name a colour."), whole, messages.ToolMessage("done", tool_call_id=call["id"])]
    assert chat.bind_tools([Colour]).invoke(talk, max_tokens=4).response_metadata["finish_reason"]


def test_tools_left_to_the_model(chat: Any) -> None:
    answer = chat.bind_tools([Colour]).invoke("Name a colour.")
    assert answer.content or answer.tool_calls


def test_structured_output_in_a_stream(chat: Any) -> None:
    *_, last = chat.with_structured_output(Colour).stream("Name a colour.")
    assert isinstance(last, Colour)


def test_batch(chat: Any) -> None:
    answers = chat.batch(["Name a colour.", "Name a city."], max_tokens=3)
    assert all(answer.content for answer in answers)
