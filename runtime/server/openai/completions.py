"""Completions: `POST /v1/completions`."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from aiohttp import web

from runtime.handle import Chunk, Generation
from runtime.sampling.params import SamplingParams
from runtime.server.access.tenant import namespace_of
from runtime.server.bodies import LARGE_BYTES, answer, read_model
from runtime.server.errors import bad_request
from runtime.server.generations import Ask, Generations
from runtime.server.keys import ENGINE
from runtime.server.openai.logprobs import TextLogprobs
from runtime.server.openai.models import check_model
from runtime.server.openai.requests import CompletionRequest
from runtime.server.openai.response_format import constraint_of
from runtime.server.openai.sampling import sampling_params
from runtime.server.openai.serving import Frame, check_samples, finish_of, streamed, working
from runtime.server.openai.usage import usage_of, usage_so_far
from runtime.server.served_engine import ServedEngine
from runtime.tokenizer import Tokenizer

__all__ = ["completions"]


@dataclass(frozen=True, slots=True)
class _Work:
    """A request that is understood.

    Attributes:
        texts: of the prompts. n: samples that are answered, of `ask.params.n` that are made.
    """

    ask: Ask
    texts: Sequence[str]
    n: int
    echo: bool
    wants_logprobs: bool
    tokenizer: Tokenizer


async def completions(request: web.Request) -> web.StreamResponse:
    """Continues prompts."""
    given = await read_model(request, CompletionRequest)
    check_model(request.app, given.model)
    work = await _work(request, given)
    frame = Frame.of(request.app, given, "cmpl", "text_completion")
    if given.stream:
        return await working(request, frame.id, work.ask, partial(_stream, request, given, work, frame))
    return await working(request, frame.id, work.ask, partial(_whole, work, frame))


async def _work(request: web.Request, given: CompletionRequest) -> _Work:
    """What a request asks the engine for. A large one is worked out in a thread, so that nobody else waits."""
    engine = request.app[ENGINE]
    params, n = _params(given)
    check_samples(request.app, len(_listed(given)), params)
    is_large = (request.content_length or LARGE_BYTES) >= LARGE_BYTES
    prompts, texts = await asyncio.to_thread(_prompts, engine, given) if is_large else _prompts(engine, given)
    echo = given.echo is True
    needs_logprobs = given.logprobs is not None or params.n > n
    top = (given.logprobs or 0) if needs_logprobs else None
    start = 0 if echo and given.logprobs is not None else None
    ask = Ask(prompts, params, top, start, namespace_of(request, given.cache_salt))
    return _Work(ask, texts, n, echo, given.logprobs is not None, engine.tokenizer)


def _params(given: CompletionRequest) -> tuple[SamplingParams, int]:
    """How prompts are continued, and how many of the samples are answered."""
    if given.suffix:
        raise bad_request("suffix", "suffix: text cannot be filled in before another; leave it out")
    params = sampling_params(given, constraint_of(given))
    if given.best_of is None or given.best_of == params.n:
        return params, params.n
    if given.best_of < params.n or given.stream:
        allowed = f"at least n={params.n}, and the same where stream is true"
        raise bad_request("best_of", f"best_of={given.best_of} is not allowed: {allowed}")
    return replace(params, n=given.best_of), params.n


def _prompts(engine: ServedEngine, given: CompletionRequest) -> tuple[list[list[int]], list[str]]:
    """Token ids and texts of the prompts."""
    tokenizer = engine.tokenizer
    prompts = _listed(given)
    found: list[list[int]] = []
    texts: list[str] = []
    for place, one in enumerate(prompts):
        param = "prompt" if len(prompts) == 1 else f"prompt[{place}]"
        if not isinstance(one, str):
            _check_ids(one, tokenizer.vocab_size, param)
        ids = tokenizer.encode(one, add_bos=tokenizer.adds_bos) if isinstance(one, str) else list(one)
        if not ids:
            if tokenizer.bos_token_id is None:
                raise bad_request(param, f"{param}: an empty prompt is not allowed: this model has no begin token")
            ids = [tokenizer.bos_token_id]
        found.append(ids)
        texts.append(one if isinstance(one, str) else tokenizer.decode(one) if given.echo else "")
    return found, texts


def _listed(given: CompletionRequest) -> Sequence[str | list[int]]:
    """The prompts, in whichever of four shapes they come."""
    prompt: Any = given.prompt
    if isinstance(prompt, str) or (prompt and isinstance(prompt[0], int)):
        return [prompt]
    if not prompt:
        raise bad_request("prompt", "prompt: at least one is needed")
    listed: Sequence[str | list[int]] = prompt
    return listed


def _check_ids(ids: Sequence[int], vocab_size: int, param: str) -> None:
    bad = next((token for token in ids if not 0 <= token < vocab_size), None)
    if bad is not None:
        raise bad_request(param, f"{param}: {bad} is not allowed: token ids are in 0..{vocab_size - 1}")


async def _whole(work: _Work, frame: Frame, generations: Generations) -> web.Response:
    texts = [""] * len(generations)
    async for arrived in generations.arrivals():
        for place, chunk in arrived:
            if chunk is not None:
                texts[place] += chunk.text
    results = [generations.result(place) for place in range(len(generations))]
    choices: list[dict[str, Any]] = []
    made = work.ask.params.n
    for prompt in range(len(work.ask.prompts)):
        places = range(prompt * made, (prompt + 1) * made)
        kept = sorted(places, key=lambda place: -_mean(results[place]))[: work.n] if made > work.n else places
        choices += [_choice(work, len(choices) + i, texts[p], results[p], prompt) for i, p in enumerate(kept)]
    return answer(frame.around(choices, usage=usage_of(results, made)))


def _mean(result: Generation) -> float:
    """The mean log probability of a sample's tokens."""
    entries = result.logprobs or ()
    return math.fsum(max(one.logprob, -1e9) for one in entries) / len(entries) if entries else 0.0


def _choice(work: _Work, index: int, text: str, result: Generation, prompt: int) -> dict[str, Any]:
    logprobs = None
    if work.wants_logprobs:
        entries = TextLogprobs(work.tokenizer, 0 if work.echo else len(work.texts[prompt]))
        logprobs = entries.prompt(work.ask.prompts[prompt][0], result.prompt_logprobs or ()) if work.echo else None
        own = entries.next(result.logprobs or ())
        logprobs = own if logprobs is None else {name: logprobs[name] + own[name] for name in own}
    whole = work.texts[prompt] + text if work.echo else text
    return {"index": index, "text": whole, "logprobs": logprobs, **finish_of(result)}


async def _stream(
    request: web.Request, given: CompletionRequest, work: _Work, frame: Frame, generations: Generations
) -> web.StreamResponse:
    return await streamed(request, generations, _Stream(given, work, frame, generations).events())


class _Stream:
    """The events of one streamed answer."""

    def __init__(self, given: CompletionRequest, work: _Work, frame: Frame, generations: Generations) -> None:
        options = given.stream_options
        self._has_usage = options is not None and bool(options.include_usage)
        self._is_continuous = self._has_usage and options is not None and bool(options.continuous_usage_stats)
        self._work = work
        self._frame = frame
        self._generations = generations
        self._logprobs = [
            TextLogprobs(work.tokenizer, len(work.texts[place // work.n])) for place in range(len(generations))
        ]
        self._num_tokens = [0] * len(generations)

    async def events(self) -> AsyncIterator[list[dict[str, Any]]]:
        """What is sent, as it comes. An echoed prompt has its log probabilities only where nothing is streamed."""
        if self._work.echo:
            places = range(len(self._generations))
            yield [self._chunk(place, self._work.texts[place // self._work.n]) for place in places]
        async for arrived in self._generations.arrivals():
            yield [event for place, chunk in arrived if (event := self._event(place, chunk)) is not None]
        if self._has_usage:
            results = [self._generations.result(place) for place in range(len(self._generations))]
            yield [self._frame.around([], usage=usage_of(results, self._work.n))]

    def _event(self, place: int, chunk: Chunk | None) -> dict[str, Any] | None:
        if chunk is None:
            result = self._generations.result(place)
            self._num_tokens[place] = result.num_generated
            return self._chunk(place, "", **finish_of(result))
        self._num_tokens[place] += len(chunk.token_ids)
        logprobs = self._logprobs[place].next(chunk.logprobs) if self._work.wants_logprobs else None
        return self._chunk(place, chunk.text, logprobs) if chunk.text or chunk.logprobs else None

    def _chunk(self, place: int, text: str, logprobs: dict[str, Any] | None = None, **finish: Any) -> dict[str, Any]:
        choice = {"index": place, "text": text, "logprobs": logprobs, "finish_reason": None, **finish}
        if not self._has_usage:
            return self._frame.around([choice])
        usage = None
        if self._is_continuous:
            usage = usage_so_far(sum(map(len, self._work.ask.prompts)), sum(self._num_tokens))
        return self._frame.around([choice], usage=usage)
