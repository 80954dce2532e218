"""Transcript: what a session of a text backend holds, as one text or as chat messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from runtime.errors import RequestError
from sgdsl.ir import Image, RoleBegin, RoleEnd

__all__ = ["Message", "Part", "Transcript", "check_begun", "messages_of", "open_text", "text_of"]

Part: TypeAlias = str | Image | RoleBegin | RoleEnd
Transcript: TypeAlias = Sequence[Part]


@dataclass(frozen=True, slots=True)
class Message:
    """A chat message: texts and pictures in order; `is_open` while it has not ended."""

    role: str
    content: tuple[str | Image, ...] = ()
    is_open: bool = True

    def text(self) -> str:
        """Its text, pictures left out."""
        return "".join(part for part in self.content if isinstance(part, str))


def text_of(transcript: Transcript) -> str:
    """All of the text, pictures left out."""
    return "".join(part for part in transcript if isinstance(part, str))


def messages_of(transcript: Transcript) -> list[Message]:
    """The messages, the last of them perhaps still open; blanks between messages are no part of any.

    Raises:
        RequestError: there is other text, or a picture, outside of them.
    """
    found: list[Message] = []
    for part in transcript:
        if isinstance(part, RoleBegin):
            found.append(Message(part.role))
        elif isinstance(part, RoleEnd):
            last = found.pop()
            found.append(Message(last.role, last.content, is_open=False))
        elif found and found[-1].is_open:
            last = found.pop()
            found.append(Message(last.role, _longer(last.content, part)))
        elif not isinstance(part, str) or part.strip():
            raise RequestError(f"messages: {part!r:.100} stands outside of them")
    return found


def _longer(content: tuple[str | Image, ...], part: str | Image) -> tuple[str | Image, ...]:
    """Text next to text is one text."""
    if content and isinstance(part, str) and isinstance(content[-1], str):
        return (*content[:-1], content[-1] + part)
    return (*content, part)


def check_begun(messages: Sequence[Message], *, prefill: bool) -> None:
    """Refuses an assistant message that has begun where the model does not go on with one.

    Raises:
        RequestError: it has.
    """
    if messages and messages[-1].is_open and messages[-1].content and not prefill:
        raise RequestError(f"messages: the model does not go on behind {messages[-1].text()[-60:]!r}, see `prefill`")


def open_text(transcript: Transcript) -> str:
    """The text of the message that is open."""
    for position in range(len(transcript) - 1, -1, -1):
        if isinstance(transcript[position], RoleBegin):
            return text_of(transcript[position:])
    return ""
