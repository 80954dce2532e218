"""Plain: sessions for clients that have no websockets; every operation is a request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from aiohttp import web

from runtime.choosing import Choosing
from runtime.handle import Scores
from runtime.server.access.tenant import TENANT, namespace_of
from runtime.server.bodies import answer, read_model
from runtime.server.errors import ApiError, bad_request
from runtime.server.keys import ENGINE, RUNNING
from runtime.server.native.requests import params_of
from runtime.server.native.samples import Sample, answered
from runtime.server.sessions.appending import append_within, most_of
from runtime.server.sessions.held import HeldSession
from runtime.server.sessions.keys import HELD
from runtime.server.sessions.requests import (
    AppendBody,
    ConcatBody,
    ForkBody,
    GenerateHereBody,
    OpenBody,
    ScoreBody,
    TruncateBody,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["append_to", "cancel", "close", "concat", "fork", "generate", "open_session", "score", "show", "truncate"]

T = TypeVar("T")


async def open_session(request: web.Request) -> web.Response:
    """`POST /sessions`: a new session; `id` is its name."""
    body = await read_model(request, OpenBody)
    content = _content(body)
    held = request.app[HELD].open(namespace_of(request, body.namespace), body.program, request[TENANT].name)
    try:
        if content is not None:
            await _append(request, held, content)
    except BaseException:
        request.app[HELD].drop(held)
        raise
    return answer({"id": held.id, "object": "session", "context_length": request.app[ENGINE].context_length})


async def show(request: web.Request) -> web.Response:
    """`GET /sessions/{id}`: how many tokens it has, and which."""
    with _used(request) as held:
        tokens: list[tuple[int, str]] = await _waited(request, held, held.session.tokens())
    return answer(
        {
            "id": held.id,
            "object": "session",
            "origin": held.origin,
            "num_tokens": len(tokens),
            "token_ids": [token for token, _ in tokens],
            "origins": [origin for _, origin in tokens],
        }
    )


async def append_to(request: web.Request) -> web.Response:
    """`POST /sessions/{id}/append`: costs nothing until something needs it."""
    body = await read_model(request, AppendBody)
    content = _content(body)
    if content is None:
        raise bad_request("text", "text: one is needed, or input_ids")
    with _used(request) as held:
        await _append(request, held, content)
    return answer({"id": held.id})


async def generate(request: web.Request) -> web.StreamResponse:
    """`POST /sessions/{id}/generate`: as `POST /generate`, and the session goes on with what was written."""
    body = await read_model(request, GenerateHereBody)
    if isinstance(body.sampling_params, list):
        raise bad_request("sampling_params", "sampling_params: an object is needed")
    if isinstance(body.rid, list):
        raise bad_request("rid", "rid: a string is needed")
    params = params_of(request.app, body.sampling_params, "/sessions/generate")
    if params.n != 1:
        raise bad_request("sampling_params.n", f"n={params.n} is not allowed: 1 on a session; fork it for more")
    with _used(request) as held:
        sample = Sample(held.session, params, body.ask(request.app), body.rid or uuid4().hex, ends=False)
        held.grow(params.max_new_tokens)
        with _ending(request, held):
            return await answered(request, [sample], is_stream=body.stream, is_list=False)


async def score(request: web.Request) -> web.Response:
    """`POST /sessions/{id}/score`: the session goes on with the chosen text."""
    body = await read_model(request, ScoreBody)
    choosing = Choosing(body.method, float(body.temperature), body.seed)
    with _used(request) as held:
        held.grow(max(map(most_of, body.choices), default=0))
        # In a thread: every choice is tokenized together with the text before it, however long that is.
        handle = await asyncio.to_thread(
            held.session.score, body.choices, choosing, unconditional=body.unconditional, priority=body.priority
        )
        scores: Scores = await _waited(request, held, handle)
    return answer(
        {
            "index": scores.index,
            "choice": body.choices[scores.index],
            "logprobs": _finite(scores.logprobs),
            "token_ids": scores.token_ids,
            "unconditional_logprobs": _finite(scores.unconditional_logprobs),
            "prompt_tokens": scores.prompt_tokens,
            "cached_tokens": scores.cached_tokens,
            "e2e_latency": scores.total_seconds,
        }
    )


async def fork(request: web.Request) -> web.Response:
    """`POST /sessions/{id}/fork`: `n` sessions that go on from here."""
    body = await read_model(request, ForkBody)
    with _used(request) as held:
        forks = request.app[HELD].fork(held, body.n)
    return answer({"ids": [one.id for one in forks]})


async def concat(request: web.Request) -> web.Response:
    """`POST /sessions/{id}/concat`: appends what forks of the session hold beyond the fork, with its KV."""
    body = await read_model(request, ConcatBody)
    with _used(request) as held:
        parts = [request.app[HELD].find(name, request[TENANT].name).session for name in body.sessions]
        held.grow(None)
        count = await _waited(request, held, held.session.concat(parts))
    return answer({"num_tokens": count})


async def truncate(request: web.Request) -> web.Response:
    """`POST /sessions/{id}/truncate`: back to so many tokens."""
    body = await read_model(request, TruncateBody)
    with _used(request) as held:
        held.session.truncate(body.num_tokens)
        count = await _waited(request, held, held.session.mark())
        held.most_tokens = None  # it may have gone on meanwhile
    return answer({"num_tokens": count})


async def cancel(request: web.Request) -> web.Response:
    """`POST /sessions/{id}/cancel`: everything unfinished ends at once, and the session with it."""
    request.app[HELD].drop(_found(request))
    return answer({"success": True})


async def close(request: web.Request) -> web.Response:
    """`DELETE /sessions/{id}`: the session ends when what it was asked for is done."""
    request.app[HELD].drop(_found(request), cancels=False)
    return answer({"success": True})


async def _append(request: web.Request, held: HeldSession, content: str | Sequence[int]) -> None:
    async def count() -> int:
        return len(await _waited(request, held, held.session.tokens()))

    await append_within(request.app[ENGINE], held, content, count)


def _content(body: AppendBody) -> str | list[int] | None:
    if body.text is not None and body.input_ids is not None:
        raise bad_request("input_ids", "input_ids and text are given together: one is allowed")
    return body.text if body.text is not None else body.input_ids


def _used(request: web.Request) -> Any:
    return request.app[HELD].used(request.match_info["id"], request[TENANT].name)


def _found(request: web.Request) -> HeldSession:
    return request.app[HELD].find(request.match_info["id"], request[TENANT].name)


async def _waited(request: web.Request, held: HeldSession, handle: Awaitable[T]) -> T:
    """A result of the session, as work in progress. Whoever stops waiting ends the session."""
    with _ending(request, held), request.app[RUNNING].entered(held.id, held.session.cancel, held.owner):
        return await handle


@contextmanager
def _ending(request: web.Request, held: HeldSession) -> Iterator[None]:
    """A session that has failed, or whose client has gone in the middle of something, is over.

    One whose request was not let in has not begun anything, and stays.
    """
    try:
        yield
    except ApiError:
        raise
    except BaseException:
        request.app[HELD].drop(held)
        raise


def _finite(rows: Sequence[Sequence[float]] | None) -> list[list[float | None]] | None:
    """JSON has no infinity: what is impossible is null."""
    if rows is None:
        return None
    return [[one if one > float("-inf") else None for one in row] for row in rows]
