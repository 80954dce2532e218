"""Concatenation: what forks hold beyond the fork becomes part of the stream they came from."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING

from runtime.handle import Handle
from sgdsl.capability import check_capability
from sgdsl.errors import InvalidArgument
from sgdsl.ir import Concat
from sgdsl.joining import join, tie
from sgdsl.meeting import Meeting
from sgdsl.step import Step

if TYPE_CHECKING:
    from sgdsl.chat import Conversation
    from sgdsl.source import Source
    from sgdsl.stream import Stream

__all__ = ["concatenate", "join_and_append"]


def join_and_append(parent: Stream, children: Sequence[Stream], source: Source | None) -> None:
    """Joins the children as `join` does, and appends their texts. It does not wait.

    Raises:
        ProgramError: a child has failed already.
        InvalidArgument: as `concatenate`.
        BackendCapabilityError: the backend cannot concatenate.
    """
    with parent.run.lock:
        parent.check()
        _check(parent, children)
        join(parent, children, source=source, appended=True)
        concatenate(parent, children, source)


def concatenate(parent: Stream, children: Sequence[Stream], source: Source | None) -> None:
    """Records that what each child has come to by now is appended; the parent's text has it from here on.

    Raises:
        InvalidArgument: a child stands inside a chat message and the parent does not, or the other way round.
        BackendCapabilityError: the backend cannot concatenate.
    """
    with parent.run.lock:
        conversation = _check(parent, children)
        parts = [child.trail[_start(child)[0] :] for child in children]
        step = parent.record([Concat(tuple(child.index for child in children))], source)[0]
        steps = [Step(step.node, source, outcome=Handle()) for _ in children]
        step.meeting = Meeting(parent, step, children, steps)
        for child, own in zip(children, steps, strict=True):
            own.meeting = step.meeting
            child.unfinished[own] = None  # so that its session stays open until then
            child.queue.append(own)
            child.run.note_recorded(child)
            if parent not in child.joined:
                tie(parent, child)
        for one in chain.from_iterable(parts):
            parent.trail.append(one)
            parent.log.append(one)
        parent.conversation = conversation


def _check(parent: Stream, children: Sequence[Stream]) -> Conversation:
    """The conversation with the messages of the children behind those of the parent."""
    check_capability(Concat(()), parent.run.backend)
    merged = parent.conversation
    for child in children:
        _, before = _start(child)
        if not parent.conversation.is_open == before.is_open == child.conversation.is_open:
            began, ends, stands = (
                "inside a chat message" if one.is_open else "outside chat messages"
                for one in (before, child.conversation, parent.conversation)
            )
            raise InvalidArgument(
                f"concat_and_append: a fork began {began} and ends {ends}, the state it came from stands {stands}: "
                "all three must be the same"
            )
        merged = merged.extended(child.conversation.roles[len(before.roles) :])
    return merged


def _start(child: Stream) -> tuple[int, Conversation]:
    if child.began is None:
        raise InvalidArgument("concat_and_append: only forks can be appended to the state they came from")
    return child.began
