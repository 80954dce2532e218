"""`llama-index-llms-openai-like`."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field


class Colour(BaseModel):
    """A colour."""

    name: Literal["red", "green"]
    share: int = Field(ge=0, le=100)


@pytest.fixture
def make(url: str, client_of: Any) -> Any:
    like = client_of("llama_index.llms.openai_like").OpenAILike

    def made(**given: Any) -> Any:
        base = {"api_base": url, "api_key": "secret", "model": "smollm2", "max_retries": 0, "timeout": 120}
        return like(**base, **{"max_tokens": 60, **given})

    return made


def structured(llm: Any) -> Any:
    from llama_index.core import PromptTemplate

    return llm.structured_predict(Colour, PromptTemplate("Name a colour."))


def test_complete_without_a_length_goes_on_beyond_16_tokens(make: Any) -> None:
    words = {"extra_body": {"regex": "([a-z]{1,5} ){30}"}}
    assert len(make(max_tokens=None, additional_kwargs=words).complete("One two three four five").text.split()) == 30


def test_complete_in_a_stream(make: Any) -> None:
    pieces = list(make(max_tokens=5, temperature=0).stream_complete("One, two,"))
    assert "".join(piece.delta for piece in pieces) == make(max_tokens=5, temperature=0).complete("One, two,").text


def test_chat(make: Any) -> None:
    from llama_index.core.llms import ChatMessage

    llm = make(is_chat_model=True, max_tokens=5)
    messages = [ChatMessage(role="system", content="Be short."), ChatMessage(role="user", content="Name a colour.")]
    assert llm.chat(messages).message.content
    assert "".join(piece.delta or "" for piece in llm.stream_chat(messages))


def test_structured_by_a_tool(make: Any) -> None:
    assert isinstance(structured(make(is_chat_model=True, is_function_calling_model=True)), Colour)


def test_structured_by_a_schema(make: Any) -> None:
    assert isinstance(structured(make(is_chat_model=True, should_use_structured_outputs=True)), Colour)


def test_tools(make: Any, client_of: Any) -> None:
    tools = client_of("llama_index.core.tools")

    class Paint(BaseModel):
        colour: Literal["red", "green"]

    def paint(colour: str) -> str:
        """Paints."""
        return colour

    llm = make(is_chat_model=True, is_function_calling_model=True)
    tool = tools.FunctionTool.from_defaults(fn=paint, fn_schema=Paint)
    answer = llm.chat_with_tools([tool], user_msg="Paint it.", tool_required=True)
    (call, *_) = llm.get_tool_calls_from_response(answer)
    assert call.tool_name == "paint"
    assert call.tool_kwargs["colour"] in ("red", "green")
    *_, last = llm.stream_chat_with_tools([tool], user_msg="Paint it.", tool_required=True)
    assert llm.get_tool_calls_from_response(last)[0].tool_kwargs["colour"] in ("red", "green")
    assert llm.predict_and_call([tool], user_msg="Paint it.", tool_required=True).response in ("red", "green")


def test_structured_in_a_stream(make: Any) -> None:
    from llama_index.core import PromptTemplate

    # By a tool, this client leaves it to the model whether it calls.
    llm = make(is_chat_model=True, should_use_structured_outputs=True)
    *_, last = llm.stream_structured_predict(Colour, PromptTemplate("Name a colour."))
    assert last.name in ("red", "green")


async def test_asynchronous_chat(make: Any) -> None:
    from llama_index.core.llms import ChatMessage

    llm = make(is_chat_model=True, max_tokens=4)
    messages = [ChatMessage(role="user", content="Name a colour.")]
    assert (await llm.achat(messages)).message.content
    assert "".join([piece.delta or "" async for piece in await llm.astream_chat(messages)])
