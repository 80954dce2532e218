"""Handlers of `/v1/responses`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import uuid4

from aiohttp import web

from runtime.handle import Generation
from runtime.server.access.tenant import TENANT
from runtime.server.bodies import answer, read_model
from runtime.server.errors import ApiError, Problem, bad_request
from runtime.server.generations import Generations
from runtime.server.keys import CONFIG, RUNNING, model_name
from runtime.server.openai.chat import ChatWork, chat_work
from runtime.server.openai.models import check_model
from runtime.server.openai.responses.items import Items
from runtime.server.openai.responses.requests import (
    PASSED,
    Message,
    ResponsesRequest,
    as_chat,
    messages_of,
    renamed,
)
from runtime.server.openai.responses.store import RESPONSES, Kept
from runtime.server.openai.serving import working
from runtime.server.openai.usage import usage_of
from runtime.server.sse import Sse

__all__ = ["create", "delete", "retrieve"]


@dataclass(frozen=True, slots=True)
class _Work:
    """A request that is understood.

    Attributes:
        messages: the conversation up to the answer, without instructions, which hold for one answer only.
    """

    app: web.Application
    given: ResponsesRequest
    chat: ChatWork
    messages: tuple[Message, ...]
    id: str
    created: int
    owner: str

    def body(self, status: str, output: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        """The response as JSON."""
        given = self.given
        tools = [tool.model_dump(exclude_none=True) for tool in given.tools or ()]
        choice = given.tool_choice
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "instructions": given.instructions,
            "max_output_tokens": given.max_output_tokens,
            "model": model_name(self.app),
            "output": output,
            "parallel_tool_calls": given.parallel_tool_calls is not False,
            "previous_response_id": given.previous_response_id,
            "reasoning": {"effort": None if given.reasoning is None else given.reasoning.effort, "summary": None},
            "store": given.store is not False,
            "temperature": 1.0 if given.temperature is None else given.temperature,
            "text": {"format": (given.text and given.text.format) or {"type": "text"}},
            "tool_choice": choice.model_dump()
            if choice is not None and not isinstance(choice, str)
            else choice or "auto",
            "tools": tools,
            "top_p": 1.0 if given.top_p is None else given.top_p,
            "truncation": "disabled",
            "usage": None,
            "user": given.user,
            "metadata": given.metadata or {},
            **more,
        }

    def ended(self, items: Items, result: Generation) -> dict[str, Any]:
        """The finished response, kept for later unless the client wants it not to be."""
        is_whole = result.finish_reason == "stop"
        details = None if is_whole else {"reason": "max_output_tokens"}
        body = self.body(
            "completed" if is_whole else "incomplete",
            items.output,
            incomplete_details=details,
            usage=self._usage(items, result),
        )
        if self.given.store is not False:
            messages = (*self.messages, *messages_of(items.output))
            self.app[RESPONSES].keep(_key(self.owner, self.id), Kept(body, messages))
        return body

    def _usage(self, items: Items, result: Generation) -> dict[str, Any]:
        found = usage_of([result], 1)
        thoughts = [item["content"][0]["text"] for item in items.output if item["type"] == "reasoning"]
        return {
            "input_tokens": found["prompt_tokens"],
            "input_tokens_details": found["prompt_tokens_details"],
            "output_tokens": found["completion_tokens"],
            "output_tokens_details": {
                "reasoning_tokens": sum(len(self.chat.tokenizer.encode(one)) for one in thoughts)
            },
            "total_tokens": found["total_tokens"],
        }


async def create(request: web.Request) -> web.StreamResponse:
    """`POST /v1/responses`."""
    given = await read_model(request, ResponsesRequest, PASSED)
    check_model(request.app, given.model)
    if given.background:
        raise bad_request("background", "background: true is not allowed: whoever asks waits for the answer")
    before: tuple[Message, ...] = ()
    if given.previous_response_id is not None:
        before = _found(request, given.previous_response_id, "previous_response_id").messages
    messages = (*before, *messages_of(given.input))
    try:
        chat = await chat_work(request, as_chat(given, messages))
    except ApiError as error:
        raise renamed(error) from None
    work = _Work(request.app, given, chat, messages, f"resp_{uuid4().hex}", int(time.time()), request[TENANT].name)
    respond = partial(_stream, request, work) if given.stream else partial(_whole, work)
    return await working(request, work.id, chat.ask, respond)


async def retrieve(request: web.Request) -> web.Response:
    """`GET /v1/responses/{id}`."""
    return answer(_found(request, request.match_info["name"], "response_id").body)


async def delete(request: web.Request) -> web.Response:
    """`DELETE /v1/responses/{id}`."""
    name = request.match_info["name"]
    _found(request, name, "response_id")
    request.app[RESPONSES].drop(_key(request[TENANT].name, name))
    return answer({"id": name, "object": "response", "deleted": True})


def _key(owner: str, name: str) -> str:
    """What a response is kept under: nobody finds another tenant's, whatever id is asked for."""
    return f"{owner}/{name}"


def _found(request: web.Request, name: str, param: str) -> Kept:
    kept = request.app[RESPONSES].find(_key(request[TENANT].name, name))
    if kept is None:
        message = f"{param}: there is no response {name!r}, or it was forgotten"
        raise ApiError(Problem(404, message, param, "response_not_found"))
    return kept


async def _whole(work: _Work, generations: Generations) -> web.Response:
    items, reader = Items(), work.chat.reader()
    async for arrived in generations.arrivals():
        for _, chunk in arrived:
            items.add(reader.end() if chunk is None else reader.feed(chunk.text))
    result = generations.result(0)
    items.end(is_whole=result.finish_reason == "stop")
    return answer(work.ended(items, result))


async def _stream(request: web.Request, work: _Work, generations: Generations) -> web.StreamResponse:
    seconds = request.app[CONFIG].keep_alive_seconds
    await generations.begun(seconds)
    number = 0
    async with Sse(request, keep_alive_seconds=seconds) as sse:
        async for batch in _events(work, generations):
            for event in batch:
                event["sequence_number"] = number
                number += 1
            await sse.send_named(*batch)
    return sse.response


async def _events(work: _Work, generations: Generations) -> AsyncIterator[list[dict[str, Any]]]:
    """What is sent, as it comes; the last event says how it ended."""
    items, reader = Items(), work.chat.reader()
    begin = work.body("in_progress", [])
    yield [{"type": "response.created", "response": begin}, {"type": "response.in_progress", "response": begin}]
    try:
        async for arrived in generations.arrivals():
            batch: list[dict[str, Any]] = []
            for _, chunk in arrived:
                batch += items.add(reader.end() if chunk is None else reader.feed(chunk.text))
            if batch:
                yield batch
        result = generations.result(0)
    except (ConnectionError, asyncio.CancelledError, GeneratorExit):
        raise
    except Exception as error:
        problem = work.app[RUNNING].told(error)
        said = {"code": problem.code or "server_error", "message": problem.message}
        failed = work.body("failed", items.output, error=said)
        yield [{"type": "error", "param": problem.param, **said}, {"type": "response.failed", "response": failed}]
        return
    closing = items.end(is_whole=result.finish_reason == "stop")
    body = work.ended(items, result)
    yield [*closing, {"type": f"response.{body['status']}", "response": body}]
