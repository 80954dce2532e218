"""Following: a step's outcome comes to be from what a backend delivers for it, on the run's loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from runtime.handle import Chunk, Generation, Handle, Scores
from sgdsl.errors import ProgramTimeout
from sgdsl.outcome import Outcome

if TYPE_CHECKING:
    from sgdsl.backends.base import BackendSession
    from sgdsl.step import Step
    from sgdsl.stream import Stream

__all__ = ["follow", "limit", "outlive"]


def follow(
    stream: Stream,
    step: Step,
    handles: Sequence[Handle[Any]],
    settle: Callable[[Sequence[Any]], Outcome],
) -> None:
    """Passes chunks of the first handle on as they come, and settles the step when all handles ended."""
    outcome, loop = step.outcome, stream.run.loop
    if outcome is None:
        raise RuntimeError(f"{step.what()} has no outcome to follow")
    waiting = [len(handles)]

    def ended() -> None:
        waiting[0] -= 1
        if waiting[0] == 0 or any(handle.error() is not None for handle in handles):
            _settle(stream, step, handles, settle)

    def arrived(chunk: Chunk | None, *, first: bool) -> None:
        if chunk is None:
            loop.post(ended)
        elif first:
            outcome.push(chunk)

    for position, handle in enumerate(handles):
        handle.subscribe(partial(arrived, first=position == 0))


def outlive(step: Step, sessions: Sequence[BackendSession]) -> None:
    """Gives these sessions up when the step ends, well or badly."""

    def ended(chunk: Chunk | None) -> None:
        if chunk is None:
            for session in sessions:
                session.cancel()
                session.close()

    if step.outcome is not None and sessions:
        step.outcome.subscribe(ended)


def _settle(
    stream: Stream, step: Step, handles: Sequence[Handle[Any]], settle: Callable[[Sequence[Any]], Outcome]
) -> None:
    error = next((error for handle in handles if (error := handle.error()) is not None), None)
    if error is not None:
        stream.fail_at(step, error)
        return
    try:
        results = [cast("Handle[Generation | Scores]", handle).result() for handle in handles]
        outcome = settle(results)
    except BaseException as failure:  # a type's own validators run here, on everybody's loop
        stream.fail_at(step, failure)
        return
    stream.settle(step, outcome, results)


def limit(stream: Stream, step: Step, timeout: float | None) -> None:
    """The stream fails when the step has not ended after `timeout` seconds."""
    if timeout is None or step.outcome is None:
        return
    outcome = step.outcome

    def expire() -> None:
        if not outcome.done():
            stream.fail(ProgramTimeout(f"{step.what()}: took longer than timeout={timeout:g} s", step.source))

    timer = stream.run.loop.later(timeout, expire)
    outcome.subscribe(lambda chunk: timer.cancel() if chunk is None else None)
