"""Messages: a conversation as the prompt that the model's own template makes of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from runtime.chat_template import ChatTemplate
from runtime.errors import RequestError
from runtime.server.errors import ApiError, bad_request
from runtime.server.openai.call_formats import HERMES, CallFormat
from runtime.server.openai.requests import ChatRequest, Message
from runtime.server.openai.tools import Toolbox

__all__ = ["prompt_of"]

_OURS = frozenset({"messages", "tools", "add_generation_prompt", "self"})


def prompt_of(
    template: ChatTemplate | None, request: ChatRequest, toolbox: Toolbox | None, form: CallFormat = HERMES
) -> str:
    """The prompt's text.

    Args:
        form: how the model writes calls.

    Raises:
        ApiError: there is no template, or it refuses the messages; `param` names what is wrong.
    """
    if template is None:
        message = "messages: the model has no chat template; --set chat_template=NAME gives it one"
        raise bad_request("messages", message)
    knows_tools = "tools" in template.source
    messages = [_plain(one, place, form, knows_tools) for place, one in enumerate(request.messages)]
    if toolbox is not None and not knows_tools:
        messages = _explained(messages, toolbox.explained())
    continues = request.continue_final_message is True
    extra = _extra(request)
    if toolbox is not None and knows_tools:
        extra["tools"] = toolbox.described()
    prompted = request.add_generation_prompt is not False and not continues
    if continues and (request.add_generation_prompt or messages[-1]["role"] != "assistant"):
        reason = "needs a last message of the assistant, and no add_generation_prompt"
        raise bad_request("continue_final_message", f"continue_final_message: {reason}")
    try:
        text = template.render(messages, add_generation_prompt=prompted, **extra)
    except RequestError as error:
        raise bad_request("messages", str(error)) from None
    return _cut(text, messages[-1]["content"]) if continues else text


def _extra(request: ChatRequest) -> dict[str, Any]:
    """More variables of the template."""
    extra = dict(request.chat_template_kwargs or {})
    if taken := sorted(_OURS & extra.keys()):
        param = f"chat_template_kwargs.{taken[0]}"
        raise bad_request(param, f"{param}: the request's own fields say this")
    if request.reasoning_effort is not None:
        extra.setdefault("reasoning_effort", request.reasoning_effort)
        if request.reasoning_effort == "none":
            extra.setdefault("enable_thinking", False)
    return extra


def _cut(text: str, last: str) -> str:
    """The prompt up to where the last message's text ends."""
    place = text.rfind(last.rstrip()) if last.strip() else -1
    if place < 0:
        message = "continue_final_message: the last message is empty, or the chat template changes it"
        raise bad_request("continue_final_message", message)
    return text[: place + len(last.rstrip())]


def _plain(message: Message, place: int, form: CallFormat, knows_tools: bool) -> dict[str, Any]:
    """A message as templates read it: contents are texts, arguments objects."""
    role = "system" if message.role == "developer" else message.role
    content = _text(message, f"messages[{place}].content")
    found: dict[str, Any] = {"role": role, "content": content}
    if message.reasoning_content is not None:
        found["reasoning_content"] = message.reasoning_content
    if not knows_tools:
        return _told(message, form, found)
    if message.tool_calls:
        found["tool_calls"] = [
            {
                "id": None if one.id is None else form.known_id(one.id),
                "type": "function",
                "function": _called(one.function.name, one.function.arguments),
            }
            for one in message.tool_calls
        ]
    if message.name is not None:
        found["name"] = message.name
    if message.tool_call_id is not None:
        found["tool_call_id"] = form.known_id(message.tool_call_id)
    return found


def _told(message: Message, form: CallFormat, found: dict[str, Any]) -> dict[str, Any]:
    """For a template that knows no tools: calls and their results as texts."""
    if message.role == "tool":
        return {"role": "user", "content": f"<tool_response>\n{found['content']}\n</tool_response>"}
    calls = [(one.function.name, one.function.arguments) for one in message.tool_calls or ()]
    texts = [found["content"], form.written(*calls) if calls else ""]
    return {**found, "content": "\n".join(filter(None, texts))}


def _called(name: str, arguments: str) -> Mapping[str, Any]:
    try:
        return {"name": name, "arguments": json.loads(arguments)}
    except (ValueError, RecursionError):
        return {"name": name, "arguments": arguments}


def _explained(messages: Sequence[dict[str, Any]], text: str) -> list[dict[str, Any]]:
    """The messages with a text added to what the system says."""
    first, *rest = messages
    if first["role"] == "system":
        return [{**first, "content": f"{first['content']}\n\n{text}".strip()}, *rest]
    return [{"role": "system", "content": text}, *messages]


def _text(message: Message, param: str) -> str:
    content = message.content
    if content is None:
        if message.role != "assistant" or not (message.tool_calls or message.reasoning_content):
            raise _no_text(param, "null")
        return ""
    if isinstance(content, str):
        return content
    texts = []
    for place, part in enumerate(content):
        where = f"{param}[{place}]"
        if part.type not in ("text", "input_text", "output_text"):
            raise bad_request(f"{where}.type", f"{where}: {part.type!r} is not allowed: this model reads text only")
        if part.text is None:
            raise _no_text(f"{where}.text", "null")
        texts.append(part.text)
    return "\n".join(texts)


def _no_text(param: str, given: str) -> ApiError:
    return bad_request(param, f"{param}: {given} is not allowed: text is needed")
