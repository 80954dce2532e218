"""Serving: what chat and plain completions do alike with a request that is understood."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from aiohttp import web

from runtime.handle import Generation
from runtime.sampling.params import SamplingParams
from runtime.server.access.tenant import TENANT
from runtime.server.errors import bad_request
from runtime.server.generations import Ask, Generations
from runtime.server.keys import CONFIG, ENGINE, RUNNING, model_name
from runtime.server.openai.requests import GenerationRequest
from runtime.server.sse import Sse
from runtime.server.trail.account import ACCOUNT

__all__ = ["Frame", "check_samples", "finish_of", "streamed", "working"]


@dataclass(frozen=True, slots=True)
class Frame:
    """What every answer and every chunk of one request has."""

    id: str
    kind: str
    created: int
    model: str
    fingerprint: str

    @classmethod
    def of(cls, app: web.Application, request: GenerationRequest, prefix: str, kind: str) -> Frame:
        """A frame for a new answer; its id is the request's own where it has one."""
        name = model_name(app)
        fingerprint = "fp_" + hashlib.sha256(app[ENGINE].model_name.encode()).hexdigest()[:10]
        return cls(request.rid or f"{prefix}-{uuid4().hex}", kind, int(time.time()), name, fingerprint)

    def around(self, choices: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        """The JSON of an answer or a chunk."""
        return {
            "id": self.id,
            "object": self.kind,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.fingerprint,
            "choices": choices,
            **more,
        }


def finish_of(result: Generation) -> dict[str, Any]:
    """How a generation ended, in OpenAI's words, which have none for a time that was up; and what it ended with."""
    reason = "length" if result.finish_reason == "timeout" else result.finish_reason
    return {"finish_reason": reason, "matched_stop": result.matched_stop}


def check_samples(app: web.Application, num_prompts: int, params: SamplingParams) -> None:
    """How many generations one request may make.

    Raises:
        ApiError: it asks for more.
    """
    most = app[CONFIG].max_samples
    if num_prompts * params.n > most:
        param = "n" if params.n > 1 else "prompt"
        raise bad_request(param, f"{num_prompts} prompts times n={params.n}: at most {most} are allowed in one request")


async def working(
    request: web.Request, rid: str, ask: Ask, respond: Callable[[Generations], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Runs the generations, and ends them when the response is done or the client has gone."""
    async with Generations(request.app[ENGINE], ask) as generations:
        with request.app[RUNNING].entered(rid, generations.cancel, request[TENANT].name):
            try:
                return await respond(generations)
            finally:
                generations.tell(request[ACCOUNT])


async def streamed(
    request: web.Request, generations: Generations, events: AsyncIterator[list[dict[str, Any]]]
) -> web.StreamResponse:
    """Sends events as they come. What fails before anything was sent has a status of its own, and later an event.

    Raises:
        Exception: what a generation failed with at once.
    """
    seconds = request.app[CONFIG].keep_alive_seconds
    await generations.begun(seconds)
    async with Sse(request, keep_alive_seconds=seconds) as sse:
        try:
            async for batch in events:
                if batch:
                    await sse.send(*batch)
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:
            await sse.send(request.app[RUNNING].told(error).body())
        await sse.done()
    return sse.response
