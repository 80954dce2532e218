"""Reading: what a stream's trail says, as text, as messages, as events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence

from sgdsl.events import Constant, Event, Generated, GeneratedEnd, RoleClosed, RoleOpened, RolledBack
from sgdsl.ir import Gen, RoleBegin, RoleEnd, Rollback, Select
from sgdsl.stream import Step

__all__ = ["events", "events_async", "messages", "text"]


def text(steps: Sequence[Step]) -> str:
    """The text of steps that have ended."""
    return "".join(step.final_text() for step in steps)


def messages(steps: Sequence[Step]) -> list[dict[str, str]]:
    """The chat messages of steps that have ended, the one still open included; text outside roles is in none."""
    found: list[dict[str, str]] = []
    is_open = False
    for step in steps:
        if isinstance(step.node, RoleBegin):
            found.append({"role": step.node.role, "content": ""})
            is_open = True
        elif isinstance(step.node, RoleEnd):
            is_open = False
        elif is_open:
            found[-1]["content"] += step.final_text()
    return found


def _constant(step: Step, before: list[Step]) -> Event | None:
    """The event of a step that nobody has to wait for; `before` is the text it stands behind, and is kept up."""
    if isinstance(step.node, RoleBegin):
        return RoleOpened(step.node.role, step.text)
    if isinstance(step.node, RoleEnd):
        return RoleClosed(step.node.role, step.text)
    if isinstance(step.node, Rollback):
        return RolledBack(text(before))
    return Constant(step.text) if step.text else None


def events(steps: Iterator[Step]) -> Iterator[Event]:
    """The events of steps as they come, waiting for what is still being written."""
    before: list[Step] = []
    for step in steps:
        if isinstance(step.node, Rollback):
            before = _kept(before, step)
        if isinstance(step.node, Gen | Select) and step.outcome is not None:
            name, written = step.node.name, ""
            for chunk in step.outcome:
                written += chunk.text
                if chunk.text:
                    yield Generated(chunk.text, name)
            rest = step.final_text().removeprefix(written)
            if rest:
                yield Generated(rest, name)
            yield GeneratedEnd(name)
        elif (event := _constant(step, before)) is not None:
            yield event
        before.append(step)


async def events_async(steps: AsyncIterator[Step]) -> AsyncIterator[Event]:
    """As `events`, suspending instead of blocking."""
    before: list[Step] = []
    async for step in steps:
        if isinstance(step.node, Rollback):
            before = _kept(before, step)
        if isinstance(step.node, Gen | Select) and step.outcome is not None:
            name, written = step.node.name, ""
            async for chunk in step.outcome:
                written += chunk.text
                if chunk.text:
                    yield Generated(chunk.text, name)
            rest = step.final_text().removeprefix(written)
            if rest:
                yield Generated(rest, name)
            yield GeneratedEnd(name)
        elif (event := _constant(step, before)) is not None:
            yield event
        before.append(step)


def _kept(before: list[Step], rollback: Step) -> list[Step]:
    index = rollback.node.index if isinstance(rollback.node, Rollback) else 0
    for position, step in enumerate(before):
        if getattr(step.node, "index", None) == index and not isinstance(step.node, Rollback):
            return before[: position + 1]
    return before
