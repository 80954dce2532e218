"""Performance of a plan: the same walk through its steps for plain and for `async def` programs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sgdsl as sg
from benchmarks.soaking.plan import Ask, Look, Pick, Plan, Redo, Say, Split, Step

__all__ = ["Performance", "perform", "perform_async"]

Walk = Generator[tuple[Any, str | None], Any, None]
"""Asks whoever drives it for the value of a state's name, or for the state's tokens."""


def _steps(state: Any, steps: Iterable[Step], more: Mapping[str, Any]) -> Walk:
    for step in steps:
        match step:
            case Say(text):
                state += text
            case Ask(name, options):
                state += sg.gen(name, **options, **more)
            case Pick(name, choices, method):
                state += sg.select(name, list(choices), choices_method=getattr(sg, method))
            case Look(name):
                yield state, name
            case Redo(inner):
                mark = state.checkpoint()
                yield from _steps(state, inner, more)
                state.rollback(mark)
            case Split(branches, join):
                group = state.fork(len(branches))
                for fork, branch in zip(group, branches, strict=True):
                    yield from _steps(fork, branch, more)
                group.join(join)


def _names(steps: Iterable[Step]) -> list[str]:
    """The names that the program can read at its end."""
    found: list[str] = []
    for step in steps:
        if isinstance(step, Ask | Pick):
            found.append(step.name)
        elif isinstance(step, Split) and step.join != "none":
            found += _names(step.branches[0])
    return found


@sg.function
def plain(s: Any, plan: Plan) -> dict[str, Any]:
    """A plan as a plain program; returns its values and tokens."""
    walk, answer = _steps(s, plan.steps, _limits(plan)), None
    while True:
        try:
            state, name = walk.send(answer)
        except StopIteration:
            break
        answer = state[name]
    values = {name: s[name] for name in _names(plan.steps)}
    return {"values": values, "tokens": [token for token, _ in s.tokens()]}


@sg.function
async def awaited(s: Any, plan: Plan) -> dict[str, Any]:
    """A plan as an `async def` program."""
    walk, answer = _steps(s, plan.steps, _limits(plan)), None
    while True:
        try:
            state, name = walk.send(answer)
        except StopIteration:
            break
        answer = await state.get(name)
    values = {name: await s.get(name) for name in _names(plan.steps)}
    return {"values": values, "tokens": [token for token, _ in await s.get_tokens()]}


@dataclass
class Performance:
    """How one plan went.

    Attributes:
        value: what the program returned; None where it was ended.
        error: what it failed with.
        hangs: it did not end within the limit.
    """

    value: dict[str, Any] | None = None
    error: BaseException | None = None
    hangs: bool = False

    @property
    def is_ended(self) -> bool:
        """Whether somebody ended it, and nothing else was wrong."""
        return isinstance(self.error, sg.ProgramCancelled | sg.ProgramTimeout | asyncio.CancelledError)


def perform(plan: Plan, backend: Any, seconds: float) -> Performance:
    """Runs a plan as a plain program, in a thread of the language's, and ends it as its fate says.

    Args:
        seconds: after so many it hangs.
    """
    done = Performance()
    try:
        state = plain.run(plan, backend=backend, stream=True, timeout=_timeout(plan))
        if plan.fate in ("cancelled", "dropped"):
            time.sleep(plan.seconds)
        if plan.fate == "dropped":
            return done
        if plan.fate == "cancelled":
            state.cancel()
        state.sync(timeout=seconds)
        done.value = state.ret_value
    except TimeoutError as error:
        done.error, done.hangs = error, not isinstance(error, sg.ProgramTimeout)
    except Exception as error:
        done.error = error
    return done


async def perform_async(plan: Plan, backend: Any, seconds: float) -> Performance:
    """As `perform`, as an `async def` program on the caller's loop; one that is dropped is a task that is cancelled."""
    done = Performance()
    task = asyncio.ensure_future(awaited.arun(plan, backend=backend, timeout=_timeout(plan)))
    if plan.fate in ("cancelled", "dropped"):
        await asyncio.wait({task}, timeout=plan.seconds)
        task.cancel()
    ended, _ = await asyncio.wait({task}, timeout=seconds)
    if not ended:
        done.error, done.hangs = TimeoutError(f"no end within {seconds} s"), True
        task.cancel()
        return done
    try:
        done.value = task.result().ret_value
    except asyncio.CancelledError as error:
        done.error = error
    except Exception as error:
        done.error = error
    return done


def _limits(plan: Plan) -> dict[str, Any]:
    return {"timeout": max(plan.seconds, 1e-3)} if plan.fate == "late" else {}


def _timeout(plan: Plan) -> float | None:
    return max(plan.seconds, 1e-3) if plan.fate == "timeout" else None
