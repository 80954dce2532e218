"""Reading: what a stream's trail says, as text, as messages, as events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from runtime.handle import Handle
from sgdsl.awaited import Awaited
from sgdsl.events import Constant, Event, Generated, GeneratedEnd, RoleClosed, RoleOpened, RolledBack
from sgdsl.ir import Checkpoint, Gen, Image, RoleBegin, RoleEnd, Rollback, Select
from sgdsl.outcome import Outcome
from sgdsl.step import Step

__all__ = ["added", "events", "events_async", "messages", "pieces", "pieces_async", "text"]


def text(steps: Sequence[Step]) -> str:
    """The text of steps that have ended."""
    return "".join(step.final_text() for step in steps)


def messages(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """The chat messages of steps that have ended, the one still open included; text outside roles is in none.

    The content of a message is a string, and where there is an image in it the OpenAI API's list of parts.
    """
    found: list[dict[str, Any]] = []
    is_open = False
    for step in steps:
        if isinstance(step.node, RoleBegin):
            found.append({"role": step.node.role, "content": ""})
            is_open = True
        elif isinstance(step.node, RoleEnd):
            is_open = False
        elif is_open:
            found[-1]["content"] = _longer(found[-1]["content"], step)
    return found


def _longer(content: Any, step: Step) -> Any:
    """A message's content with what a step stands for behind it."""
    if isinstance(content, str) and not isinstance(step.node, Image):
        return content + step.final_text()
    parts = [{"type": "text", "text": content}] if isinstance(content, str) and content else list(content)
    if isinstance(step.node, Image):
        return [*parts, {"type": "image_url", "image_url": {"url": step.node.source}}]
    text = step.final_text()
    if text and parts[-1]["type"] == "text":
        return [*parts[:-1], {"type": "text", "text": parts[-1]["text"] + text}]
    return [*parts, {"type": "text", "text": text}] if text else parts


def _constant(step: Step, before: list[Step]) -> Event | None:
    """The event of a step that nobody has to wait for; `before` is the text it stands behind, and is kept up."""
    if isinstance(step.node, RoleBegin):
        return RoleOpened(step.node.role, step.text)
    if isinstance(step.node, RoleEnd):
        return RoleClosed(step.node.role, step.text)
    if isinstance(step.node, Rollback):
        return RolledBack(text(before))
    return Constant(step.text) if step.text else None


def pieces(handle: Handle[Outcome]) -> Iterator[str]:
    """A generated text as it comes; values that are not streamed come in one piece."""
    written = ""
    for chunk in handle:
        written += chunk.text
        if chunk.text:
            yield chunk.text
    if rest := _rest(handle, written):
        yield rest


async def pieces_async(handle: Handle[Outcome]) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """As `pieces`, suspending instead of blocking; each with the token ids that came with it."""
    written = ""
    async for chunk in handle:
        written += chunk.text
        if chunk.text:
            yield chunk.text, {"token_ids": list(chunk.token_ids)}
    if rest := _rest(handle, written):
        yield rest, handle.result().meta


def _rest(handle: Handle[Outcome], written: str) -> str:
    outcome = handle.result()
    first = outcome.text[0] if outcome.has_samples else outcome.text
    return str(first).removeprefix(written)


def events(steps: Iterator[Step]) -> Iterator[Event]:
    """The events of steps as they come, waiting for what is still being written."""
    before: list[Step] = []
    for step in steps:
        if isinstance(step.node, Rollback):
            before = _kept(before, step.node.index)
        if isinstance(step.node, Gen | Select) and step.outcome is not None:
            for piece in pieces(step.outcome):
                yield Generated(piece, step.node.name)
            yield GeneratedEnd(step.node.name)
        elif isinstance(step.node, Awaited) and step.outcome is not None:
            yield Constant("".join(pieces(step.outcome)))
        elif (event := _constant(step, before)) is not None:
            yield event
        before.append(step)


async def events_async(steps: AsyncIterator[Step]) -> AsyncIterator[Event]:
    """As `events`, suspending instead of blocking."""
    before: list[Step] = []
    async for step in steps:
        if isinstance(step.node, Rollback):
            before = _kept(before, step.node.index)
        if isinstance(step.node, Gen | Select) and step.outcome is not None:
            async for piece, _ in pieces_async(step.outcome):
                yield Generated(piece, step.node.name)
            yield GeneratedEnd(step.node.name)
        elif isinstance(step.node, Awaited) and step.outcome is not None:
            yield Constant("".join([piece async for piece, _ in pieces_async(step.outcome)]))
        elif (event := _constant(step, before)) is not None:
            yield event
        before.append(step)


def added(event: Event) -> str:
    """The text an event adds; none when it takes some away."""
    return "" if isinstance(event, RolledBack | GeneratedEnd) else event.text


def _kept(before: list[Step], index: int) -> list[Step]:
    """What a rollback to checkpoint `index` leaves."""
    for position, step in enumerate(before):
        if isinstance(step.node, Checkpoint) and step.node.index == index:
            return before[: position + 1]
    return before
