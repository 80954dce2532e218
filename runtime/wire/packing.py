"""Packing: messages into frames. A few large frames would hold up what comes behind, and one too large ends it all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from runtime.wire.messages import FromClient, FromServer, write_frame

__all__ = ["FRAME_CHARACTERS", "frames"]

Message = TypeVar("Message", FromClient, FromServer)

FRAME_CHARACTERS = 1 << 20
"""A frame that is as long takes no further message."""


def frames(messages: Sequence[Message]) -> Iterator[str]:
    """The messages in their order, as few frames as are well below `MAX_FRAME_BYTES`; a larger message has its own.

    Raises:
        TypeError: a message holds what JSON cannot.
    """
    packed: list[str] = []
    room = FRAME_CHARACTERS
    for message in messages:
        text = write_frame([message])[1:-1]
        if packed and len(text) > room:
            yield f"[{','.join(packed)}]"
            packed, room = [], FRAME_CHARACTERS
        packed.append(text)
        room -= len(text)
    if packed:
        yield f"[{','.join(packed)}]"
