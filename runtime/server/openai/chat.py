"""Chat: `POST /v1/chat/completions`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from aiohttp import web

from runtime.handle import Generation
from runtime.reasoning import Reasoning
from runtime.sampling.params import SamplingParams
from runtime.server.access.tenant import namespace_of
from runtime.server.bodies import LARGE_BYTES, answer, read_model
from runtime.server.errors import bad_request
from runtime.server.generations import Ask, Generations, encoded
from runtime.server.keys import ENGINE
from runtime.server.openai.answer_reader import AnswerReader, Piece
from runtime.server.openai.call_formats import call_format_of
from runtime.server.openai.call_reader import CallDelta
from runtime.server.openai.logprobs import chat_logprobs
from runtime.server.openai.messages import prompt_of
from runtime.server.openai.models import check_model
from runtime.server.openai.requests import ChatRequest
from runtime.server.openai.response_format import constraint_of
from runtime.server.openai.sampling import sampling_params
from runtime.server.openai.serving import Frame, check_samples, finish_of, streamed, working
from runtime.server.openai.thinking import behind, reasoning_in
from runtime.server.openai.tools import Toolbox
from runtime.server.openai.usage import usage_of, usage_so_far
from runtime.server.served_engine import ServedEngine
from runtime.tokenizer import Tokenizer

__all__ = ["ChatWork", "chat_completions", "chat_work"]


@dataclass(frozen=True, slots=True)
class ChatWork:
    """A chat request that is understood."""

    ask: Ask
    toolbox: Toolbox | None
    reasoning: Reasoning | None
    tokenizer: Tokenizer

    def reader(self) -> AnswerReader:
        """Reads one sample."""
        return AnswerReader(self.reasoning, self.toolbox)


async def chat_completions(request: web.Request) -> web.StreamResponse:
    """Answers a conversation."""
    given = await read_model(request, ChatRequest)
    check_model(request.app, given.model)
    work = await chat_work(request, given)
    if given.stream:
        frame = Frame.of(request.app, given, "chatcmpl", "chat.completion.chunk")
        return await working(request, frame.id, work.ask, partial(_stream, request, given, work, frame))
    frame = Frame.of(request.app, given, "chatcmpl", "chat.completion")
    return await working(request, frame.id, work.ask, partial(_whole, work, frame))


async def chat_work(request: web.Request, given: ChatRequest) -> ChatWork:
    """What a request asks the engine for. A large one is worked out in a thread, so that nobody else waits.

    Raises:
        ApiError: a field has a value that is not allowed; `param` names it.
    """
    engine = request.app[ENGINE]
    is_large = (request.content_length or LARGE_BYTES) >= LARGE_BYTES
    understood = await asyncio.to_thread(_understood, engine, given) if is_large else _understood(engine, given)
    prompt, params, toolbox, reasoning = understood
    check_samples(request.app, 1, params)
    top = (given.top_logprobs or 0) if given.logprobs else None
    ask = Ask([await encoded(engine, prompt)], params, top, namespace=namespace_of(request, given.cache_salt))
    separates = given.separate_reasoning is not False
    return ChatWork(ask, toolbox, reasoning if separates else None, engine.tokenizer)


def _understood(
    engine: ServedEngine, given: ChatRequest
) -> tuple[str, SamplingParams, Toolbox | None, Reasoning | None]:
    """The prompt's text, how it is continued, and how what comes is to be read."""
    if given.top_logprobs is not None and not given.logprobs:
        raise bad_request("top_logprobs", "top_logprobs: logprobs must be true")
    template = engine.chat_template
    source = "" if template is None else template.source
    form = call_format_of(source, engine.tokenizer.special_tokens)
    toolbox = Toolbox.of(given, form)
    prompt = prompt_of(template, given, toolbox, form)
    reasoning = reasoning_in(source, prompt)
    constraint = constraint_of(given)
    if toolbox is not None:
        constraint = toolbox.spec(constraint)
    after = None
    if constraint is not None:
        constraint, after = behind(reasoning, constraint)
    params = sampling_params(given, constraint, constraint_after=after)
    if toolbox is not None and form.special:  # what the calls are read by
        params = replace(params, skip_special_tokens=False)
    return prompt, params, toolbox, reasoning


async def _whole(work: ChatWork, frame: Frame, generations: Generations) -> web.Response:
    texts = [""] * len(generations)
    async for arrived in generations.arrivals():
        for place, chunk in arrived:
            if chunk is not None:
                texts[place] += chunk.text
    results = [generations.result(place) for place in range(len(generations))]
    choices = [
        _choice(work, place, text, result) for place, (text, result) in enumerate(zip(texts, results, strict=True))
    ]
    return answer(frame.around(choices, usage=usage_of(results, work.ask.params.n)))


def _choice(work: ChatWork, place: int, text: str, result: Generation) -> dict[str, Any]:
    reader = work.reader()
    pieces = [reader.feed(text), reader.end()]
    content = "".join(piece.content for piece in pieces)
    message: dict[str, Any] = {"role": "assistant", "content": content, "refusal": None}
    if work.reasoning is not None:
        message["reasoning_content"] = "".join(piece.reasoning for piece in pieces) or None
    if calls := _calls([delta for piece in pieces for delta in piece.calls]):
        message |= {"content": content or None, "tool_calls": calls}
    logprobs = None if result.logprobs is None else chat_logprobs(result.logprobs, work.tokenizer)
    return {"index": place, "message": message, "logprobs": logprobs, **_finish(reader, result)}


def _calls(deltas: list[CallDelta]) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = []
    for delta in deltas:
        if delta.id is not None:
            function = {"name": delta.name, "arguments": ""}
            calls.append({"id": delta.id, "type": "function", "function": function})
        calls[delta.index]["function"]["arguments"] += delta.arguments
    return calls


def _finish(reader: AnswerReader, result: Generation) -> dict[str, Any]:
    finish = finish_of(result)
    return (
        {**finish, "finish_reason": "tool_calls"} if reader.has_calls and finish["finish_reason"] == "stop" else finish
    )


async def _stream(
    request: web.Request, given: ChatRequest, work: ChatWork, frame: Frame, generations: Generations
) -> web.StreamResponse:
    return await streamed(request, generations, _Stream(given, work, frame, generations).events())


class _Stream:
    """The events of one streamed answer."""

    def __init__(self, given: ChatRequest, work: ChatWork, frame: Frame, generations: Generations) -> None:
        options = given.stream_options
        self._has_usage = options is not None and bool(options.include_usage)
        self._is_continuous = self._has_usage and options is not None and bool(options.continuous_usage_stats)
        self._work = work
        self._frame = frame
        self._generations = generations
        self._readers = [work.reader() for _ in range(len(generations))]
        self._num_tokens = [0] * len(generations)

    async def events(self) -> AsyncIterator[list[dict[str, Any]]]:
        """What is sent, as it comes."""
        begin = {"role": "assistant", "content": ""}
        yield [self._chunk(place, begin) for place in range(len(self._readers))]
        async for arrived in self._generations.arrivals():
            batch: list[dict[str, Any]] = []
            for place, chunk in arrived:
                if chunk is None:
                    batch += self._last(place)
                    continue
                self._num_tokens[place] += len(chunk.token_ids)
                piece = self._readers[place].feed(chunk.text)
                logprobs = chat_logprobs(chunk.logprobs, self._work.tokenizer) if chunk.logprobs else None
                if piece or logprobs:
                    batch.append(self._chunk(place, self._delta(piece), logprobs))
            yield batch
        if self._has_usage:
            results = [self._generations.result(place) for place in range(len(self._readers))]
            yield [self._frame.around([], usage=usage_of(results, len(results)))]

    def _last(self, place: int) -> list[dict[str, Any]]:
        reader, result = self._readers[place], self._generations.result(place)
        rest = reader.end()
        self._num_tokens[place] = result.num_generated
        chunks = [self._chunk(place, self._delta(rest))] if rest else []
        return [*chunks, self._chunk(place, {}, **_finish(reader, result))]

    def _chunk(
        self, place: int, delta: dict[str, Any], logprobs: dict[str, Any] | None = None, **finish: Any
    ) -> dict[str, Any]:
        choice = {"index": place, "delta": delta, "logprobs": logprobs, "finish_reason": None, **finish}
        if not self._has_usage:
            return self._frame.around([choice])
        usage = None
        if self._is_continuous:
            usage = usage_so_far(len(self._work.ask.prompts[0]), sum(self._num_tokens))
        return self._frame.around([choice], usage=usage)

    def _delta(self, piece: Piece) -> dict[str, Any]:
        delta: dict[str, Any] = {}
        if piece.reasoning:
            delta["reasoning_content"] = piece.reasoning
        if piece.content:
            delta["content"] = piece.content
        if piece.calls:
            delta["tool_calls"] = [_call_delta(one) for one in piece.calls]
        return delta


def _call_delta(delta: CallDelta) -> dict[str, Any]:
    function: dict[str, Any] = {"arguments": delta.arguments}
    if delta.id is None:
        return {"index": delta.index, "function": function}
    return {
        "index": delta.index,
        "id": delta.id,
        "type": "function",
        "function": {"name": delta.name, **function},
    }
