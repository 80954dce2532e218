"""GraphRunner: runs graphs from outside on the server's engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from runtime.server.errors import ApiError, Problem, bad_request, problem_of
from runtime.server.programs.runner import ProgramLimits, ProgramOrder
from sgdsl import reading
from sgdsl.cli.report import plain, result
from sgdsl.compiled import CompiledProgram
from sgdsl.errors import CheckFailed, InvalidArgument, NotSupported, ProgramCancelled, ProgramError, ProgramTimeout
from sgdsl.events import GeneratedEnd, RolledBack, written
from sgdsl.running import RunningState
from sgdsl.sampling import Sampling
from sgdsl.served.backend import ServedBackend
from sgdsl.served.inspection import inspected

if TYPE_CHECKING:
    from runtime.server.served_engine import ServedEngine

__all__ = ["GraphRunner"]

RESERVED = frozenset({"backend", "record", "stream", "timeout"})
"""What a run takes for itself: an argument of that name would reach it in place of the program."""


class GraphRunner:
    """A `ProgramRunner`.

    Args:
        engine: the server's.
    """

    def __init__(self, engine: ServedEngine) -> None:
        self._engine = engine

    def check(self, order: ProgramOrder, limits: ProgramLimits) -> tuple[CompiledProgram, ServedBackend, ProgramOrder]:
        """The compiled graph, and where it will run.

        Raises:
            ApiError: the graph cannot run here.
        """
        graph = inspected(order.graph, limits)
        names = {parameter.name for parameter in graph.parameters}
        for name in (*sorted(set(order.arguments) - names), *sorted(names & RESERVED)):
            raise bad_request(f"arguments.{name}", f"arguments: {graph.name} has no {name!r} that can be given here")
        backend = ServedBackend(self._engine, order.namespace)
        try:
            return CompiledProgram(graph, backend=backend), backend, order
        except (CheckFailed, InvalidArgument, NotSupported) as error:
            raise bad_request("graph", f"graph: {error}", "invalid_graph") from None

    def start(self, checked: tuple[CompiledProgram, ServedBackend, ProgramOrder]) -> GraphRun:
        """Starts it on the running loop.

        Raises:
            ApiError: the arguments do not fit.
        """
        compiled, backend, order = checked
        unknown = sorted(set(order.sampling) - Sampling.names())
        if unknown:
            raise bad_request(f"sampling_params.{unknown[0]}", f"sampling_params: no {unknown[0]!r} is known here")
        return GraphRun(compiled, backend, order)


class GraphRun:
    """A `ProgramRun`."""

    def __init__(self, compiled: CompiledProgram, backend: ServedBackend, order: ProgramOrder) -> None:
        self.name = compiled.name
        self._begun = time.monotonic()
        self._text = ""
        self._compiled = compiled
        self._state: RunningState | None = None
        self._starting = asyncio.ensure_future(self._start(backend, order))

    async def _start(self, backend: ServedBackend, order: ProgramOrder) -> RunningState:
        try:
            state = await self._compiled.arun(
                backend=backend, stream=True, timeout=order.timeout, **{**order.sampling, **order.arguments}
            )
        except (TypeError, InvalidArgument) as error:
            raise bad_request("arguments", str(error)) from None
        if not isinstance(state, RunningState):
            raise TypeError(f"a streamed run gave {type(state).__name__}")
        self._state = state
        return state

    async def events(self) -> AsyncIterator[Mapping[str, Any]]:
        """What happens, in the order of the text.

        Raises:
            ApiError: the program failed.
        """
        state = await self._starting
        try:
            async for event in reading.events_async(state._steps_async()):
                self._text = event.text if isinstance(event, RolledBack) else self._text + reading.added(event)
                entry = written(event)
                if isinstance(event, GeneratedEnd) and event.name is not None:
                    entry["value"] = plain(await state.get(event.name))
                yield entry
        except ProgramError as error:
            raise _told(error) from error

    async def result(self) -> Mapping[str, Any]:
        """Waits for the end.

        Raises:
            ApiError: the program failed.
        """
        state = await self._starting
        try:
            await state.wait()
            if state._run.task is not None:
                await asyncio.wait([state._run.task])
            if state._run.error is not None:
                raise state._run.error
            text = state.text()
        except ProgramError as error:
            raise _told(error) from error
        except NotSupported as error:
            raise bad_request("graph", f"graph: {error}") from error
        return result(state, text, state._run.usage(), time.monotonic() - self._begun)

    def cancel(self) -> None:
        """Ends it at once."""
        self._starting.cancel()
        if self._state is not None:
            self._state._run.cancel()


def _told(error: ProgramError) -> ApiError:
    """What a failed program is to the client: what its failing call would have been, with the place in the program."""
    if isinstance(error, ProgramTimeout):  # the request's own limit, as everywhere else
        return ApiError(Problem(408, str(error), "timeout", "timeout"))
    if isinstance(error, ProgramCancelled):
        return ApiError(Problem(499, str(error), code="cancelled"))
    cause = error.__cause__
    if cause is None or isinstance(cause, TypeError | ValueError | NotSupported):
        found = Problem(400, str(error), code="program_failed")
        return ApiError(found if cause is None else _like(problem_of(cause), found))
    return ApiError(_like(problem_of(cause), Problem(500, str(error), code="program_failed")))


def _like(cause: Problem, found: Problem) -> Problem:
    """The program's own words, with the status of its cause where that says more."""
    if cause.status == 500:
        return found if found.status < 500 else cause
    return Problem(cause.status, found.message, cause.param, cause.code or found.code, cause.headers)
