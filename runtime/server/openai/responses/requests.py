"""Requests: what clients send to `/v1/responses`, and the conversation in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runtime.server.bodies import param_of
from runtime.server.errors import ApiError, bad_request
from runtime.server.openai.requests import ChatRequest

__all__ = ["PASSED", "Message", "NamedFunction", "ResponsesRequest", "as_chat", "messages_of", "renamed"]

Message = dict[str, Any]


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", protected_namespaces=())


class TextOptions(_Body):
    """What the text is to look like."""

    format: dict[str, Any] | None = None


class ReasoningOptions(_Body):
    """How long the model thinks."""

    effort: str | None = None


class FunctionTool(_Body):
    """A function the model may call."""

    type: str
    name: str | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class NamedFunction(_Body):
    """The function that must be called."""

    type: Literal["function"]
    name: str


class ResponsesRequest(_Body):
    """`POST /v1/responses`."""

    input: str | list[dict[str, Any]]
    model: str | None = None
    instructions: str | None = None
    max_output_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = None
    top_p: float | None = None
    text: TextOptions | None = None
    reasoning: ReasoningOptions | None = None
    tools: list[FunctionTool] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedFunction | None = None
    parallel_tool_calls: bool | None = None
    previous_response_id: str | None = None
    store: bool | None = None
    stream: bool | None = None
    metadata: dict[str, str] | None = None
    truncation: str | None = None
    background: bool | None = None
    include: list[str] | None = None
    user: str | None = None


def messages_of(given: str | Sequence[dict[str, Any]]) -> list[Message]:
    """The input as messages of a chat; what the model thought is left out.

    Raises:
        ApiError: an item of a kind that is not known here.
    """
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    messages: list[Message] = []
    for place, item in enumerate(given):
        kind = item.get("type", "message")
        if kind == "message":
            messages.append({"role": item.get("role"), "content": item.get("content")})
        elif kind == "function_call":
            _add_call(messages, item)
        elif kind == "function_call_output":
            messages.append({"role": "tool", "tool_call_id": item.get("call_id"), "content": item.get("output")})
        elif kind != "reasoning":
            param = f"input[{place}].type"
            raise bad_request(param, f"{param}: {kind!r} is none of message, function_call, function_call_output")
    return messages


def _add_call(messages: list[Message], item: dict[str, Any]) -> None:
    """Calls that stand together are one message."""
    call = {
        "id": item.get("call_id"),
        "type": "function",
        "function": {"name": item.get("name"), "arguments": item.get("arguments", "{}")},
    }
    if messages and messages[-1]["role"] == "assistant":
        messages[-1].setdefault("tool_calls", []).append(call)
    else:
        messages.append({"role": "assistant", "content": None, "tool_calls": [call]})


def as_chat(given: ResponsesRequest, messages: Sequence[Message]) -> ChatRequest:
    """The request as a chat's, in a conversation.

    Raises:
        ApiError: an item is no message, or a tool no function.
    """
    instructions = [] if given.instructions is None else [{"role": "system", "content": given.instructions}]
    chat: dict[str, Any] = {
        "messages": [*instructions, *messages],
        "max_completion_tokens": given.max_output_tokens,
        "temperature": given.temperature,
        "top_p": given.top_p,
        "response_format": _format(given),
        "reasoning_effort": None if given.reasoning is None else given.reasoning.effort,
        "tools": [_tool(place, tool) for place, tool in enumerate(given.tools or ())],
        "tool_choice": _choice(given),
        "parallel_tool_calls": given.parallel_tool_calls,
        **{name: value for name, value in (given.model_extra or {}).items() if name in PASSED},
    }
    try:
        return ChatRequest.model_validate_json(msgspec.json.encode(chat))
    except ValidationError as error:
        param, message = param_of(error)
        raise bad_request("input" if param.startswith("messages") else param, f"input: {message}") from None


_OTHERWISE = frozenset({"messages", "stream", "stream_options", "n", "logprobs", "top_logprobs"})
PASSED = frozenset(ChatRequest.model_fields) - _OTHERWISE
"""Fields of chats that are understood here too, such as `seed` and `regex`."""


def _format(given: ResponsesRequest) -> dict[str, Any] | None:
    """The form of the text: the schema stands in it directly, not one level deeper."""
    found = None if given.text is None else given.text.format
    if found is None or found.get("type") != "json_schema":
        return found
    return {"type": "json_schema", "json_schema": {name: one for name, one in found.items() if name != "type"}}


def _tool(place: int, tool: FunctionTool) -> dict[str, Any]:
    if tool.type != "function":
        param = f"tools[{place}].type"
        raise bad_request(param, f"{param}: {tool.type!r} is not allowed: only functions can be called here")
    function = tool.model_dump(include={"name", "description", "parameters", "strict"}, exclude_none=True)
    return {"type": "function", "function": function}


def _choice(given: ResponsesRequest) -> Any:
    if isinstance(given.tool_choice, NamedFunction):
        return {"type": "function", "function": {"name": given.tool_choice.name}}
    return given.tool_choice


def renamed(error: ApiError) -> ApiError:
    """A chat's error in the words of this request."""
    param = error.problem.param or ""
    for theirs, ours in (("messages", "input"), ("response_format", "text.format"), ("max_", "max_output_tokens")):
        if param.startswith(theirs):
            return bad_request(ours, error.problem.message, error.problem.code)
    return error
