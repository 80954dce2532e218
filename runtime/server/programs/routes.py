"""Routes: `POST /programs`: a compiled graph runs on the server, with no round trip for each of its calls."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import msgspec
from aiohttp import web
from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr

from runtime.server.access.tenant import TENANT, namespace_of
from runtime.server.bodies import answer, read_model
from runtime.server.errors import ApiError, Problem, bad_request
from runtime.server.keys import CONFIG, RUNNING
from runtime.server.native.requests import Body
from runtime.server.programs.runner import ProgramLimits, ProgramOrder, ProgramRun, ProgramRunner
from runtime.server.sse import Sse

__all__ = ["LIMITS", "PROGRAMS", "prepare", "routes"]

PROGRAMS: web.AppKey[ProgramRunner] = web.AppKey("programs", ProgramRunner)
LIMITS: web.AppKey[ProgramLimits] = web.AppKey("program_limits", ProgramLimits)


class ProgramBody(Body):
    """`POST /programs`."""

    graph: dict[str, Any] | StrictStr
    arguments: dict[str, Any] = Field(default_factory=dict)
    sampling_params: dict[str, Any] = Field(default_factory=dict)
    stream: StrictBool = False
    timeout: StrictFloat | StrictInt | None = None
    cache_salt: StrictStr = ""
    rid: StrictStr | None = None


async def run_program(request: web.Request) -> web.StreamResponse:
    """Runs a graph and answers with what came of it, or as a stream with what happens."""
    runner = request.app.get(PROGRAMS)
    if runner is None:
        raise ApiError(Problem(501, "this server runs no programs", code="not_implemented"))
    body = await read_model(request, ProgramBody)
    limits = request.app[LIMITS]
    order = _order(body, limits, namespace_of(request, body.cache_salt))
    rid = body.rid or f"program-{uuid4().hex}"
    checked = await asyncio.to_thread(runner.check, order, limits)
    run = runner.start(checked)
    try:
        with request.app[RUNNING].entered(rid, run.cancel, request[TENANT].name):
            if body.stream:
                return await _streamed(request, rid, run)
            return answer(_whole(rid, run, await run.result()))
    finally:
        run.cancel()


def _order(body: ProgramBody, limits: ProgramLimits, namespace: str) -> ProgramOrder:
    graph = body.graph if isinstance(body.graph, str) else msgspec.json.encode(body.graph).decode()
    if len(graph) > limits.max_bytes:
        raise bad_request("graph", f"graph: {len(graph)} characters: at most {limits.max_bytes} are allowed")
    timeout = limits.max_seconds if body.timeout is None else body.timeout
    if not 0 < timeout <= limits.max_seconds:
        raise bad_request("timeout", f"timeout={timeout} is not allowed: seconds up to {limits.max_seconds:g}")
    return ProgramOrder(
        graph=graph,
        arguments=body.arguments,
        sampling=body.sampling_params,
        namespace=namespace,
        timeout=float(timeout),
    )


def _whole(rid: str, run: ProgramRun, result: Any) -> dict[str, Any]:
    return {"id": rid, "object": "program.run", "name": run.name, **result}


async def _streamed(request: web.Request, rid: str, run: ProgramRun) -> web.StreamResponse:
    async with Sse(request, keep_alive_seconds=request.app[CONFIG].keep_alive_seconds) as sse:
        try:
            async for event in run.events():
                await sse.send(event)
            await sse.send({"event": "end", **_whole(rid, run, await run.result())})
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:
            await sse.send({"event": "error", **request.app[RUNNING].told(error).body()})
        await sse.done()
    return sse.response


def prepare(app: web.Application, runner: ProgramRunner | None) -> None:
    """Gives an application what this room keeps."""
    app[LIMITS] = ProgramLimits()
    if runner is not None:
        app[PROGRAMS] = runner


def routes() -> list[web.RouteDef]:
    """This room's."""
    return [web.post("/programs", run_program)]
