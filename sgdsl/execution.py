"""Execution: a program's function is called, everything it recorded is awaited, and its sessions close."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from sgdsl.errors import InvalidArgument
from sgdsl.process import submit
from sgdsl.run import Run
from sgdsl.state import ProgramState
from sgdsl.waiting import on_event_loop

if TYPE_CHECKING:
    from sgdsl.program import Program

__all__ = ["ended_task", "in_thread", "perform", "perform_async", "perform_quietly"]

T = TypeVar("T")


def perform(
    program: Program, run: Run, args: Sequence[Any], kwargs: Mapping[str, Any], timeout: float | None
) -> ProgramState:
    """Runs a program to its end, in this thread."""
    if program.is_async:
        if on_event_loop():
            name = program.name
            raise InvalidArgument(f"{name} is an async program and an event loop runs here: await {name}.arun(...)")
        return asyncio.run(perform_async(program, run, args, kwargs, timeout))
    state = ProgramState(run.main)
    with _lifetime(run, timeout):
        run.main.check()  # it may have been ended before it could start
        if run.recording is not None:
            run.recording.begin(program, args, kwargs)
        with run.entered():
            run.value = program.func(state, *args, **{**program.bound, **kwargs})
        run.settle()
        run.conclude()
    return state


async def perform_async(
    program: Program, run: Run, args: Sequence[Any], kwargs: Mapping[str, Any], timeout: float | None
) -> ProgramState:
    """Runs a program to its end: an `async` one on this event loop, a plain one in a thread."""
    if not program.is_async:
        return await _awaited(run, functools.partial(perform, program, run, args, kwargs, timeout), timeout)
    state = ProgramState(run.main)
    with _lifetime(run, timeout):
        run.main.check()
        if run.recording is not None:
            run.recording.begin(program, args, kwargs)
        with run.entered():
            run.value = await _or_expired(program.func(state, *args, **{**program.bound, **kwargs}), run, timeout)
        await run.settled()
        run.conclude()
    return state


def perform_quietly(
    program: Program, run: Run, args: Sequence[Any], kwargs: Mapping[str, Any], timeout: float | None
) -> None:
    """As `perform`, for a streamed run: its reads raise what it failed with."""
    try:
        perform(program, run, args, kwargs, timeout)
    except BaseException:
        return


def ended_task(run: Run, task: asyncio.Task[ProgramState]) -> None:
    """A streamed run's task is over; what it failed with is raised by the reads."""
    if task.cancelled():  # maybe before it began, and then nobody else ends the run
        run.cancel()
        run.close()
    else:
        task.exception()


@contextmanager
def _lifetime(run: Run, timeout: float | None) -> Iterator[None]:
    """Whatever happens inside, afterwards nothing of the run is left running, and no session is open."""
    run.limit(timeout)
    try:
        yield
    except BaseException as error:
        run.abort(error)
        raise
    finally:
        run.close()
        if run.recording is not None:
            run.recording.end()


def in_thread(run: Run, work: Callable[[], T], timeout: float | None) -> Future[T]:
    """Does `work`, which performs the run, in a worker thread, or apart where a worker thread may wait for it.

    Args:
        timeout: seconds for all of it, the wait for a thread included.
    """
    run.limit(timeout)
    apart, run.on_worker = run.on_worker, True
    return submit(work, apart=apart)


async def _awaited(run: Run, work: functools.partial[ProgramState], timeout: float | None) -> ProgramState:
    future = in_thread(run, work, timeout)

    def give_up(_: object) -> None:
        future.cancel()  # which does something as long as it waits for a thread

    run.main.on_failure.append(give_up)
    try:
        return await asyncio.wrap_future(future)
    except asyncio.CancelledError:
        failure = run.error
        run.cancel()
        if future.cancelled():  # it never began, so nobody else ends it
            run.close()
        if failure is not None and future.cancelled():
            raise failure from None
        raise


async def _or_expired(work: Awaitable[Any], run: Run, timeout: float | None) -> Any:
    """Awaits a program's function; when its time is up it is cancelled wherever it waits."""
    try:
        async with asyncio.timeout(timeout):
            return await work
    except TimeoutError:
        if timeout is not None:
            run.expire(timeout)
        run.main.check()
        raise
