"""ResponseStore: responses that may be asked for again, and gone on from. It forgets the oldest."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from runtime.server.openai.responses.requests import Message

__all__ = ["RESPONSES", "Kept", "ResponseStore"]

MOST_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Kept:
    """A response, and the conversation it ends."""

    body: dict[str, Any]
    messages: tuple[Message, ...]


class ResponseStore:
    """Keeps the last ones in memory, as JSON.

    Args:
        most_bytes: of all together.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._num_bytes = 0
        self._kept: OrderedDict[str, bytes] = OrderedDict()

    def keep(self, name: str, kept: Kept) -> None:
        """Keeps a response under its id."""
        data = msgspec.json.encode([kept.body, kept.messages])
        self.drop(name)
        self._kept[name] = data
        self._num_bytes += len(data)
        while self._num_bytes > self._most_bytes:
            self._num_bytes -= len(self._kept.popitem(last=False)[1])

    def find(self, name: str) -> Kept | None:
        """The response of that id; None where it is not there any more."""
        data = self._kept.get(name)
        if data is None:
            return None
        self._kept.move_to_end(name)
        body, messages = msgspec.json.decode(data)
        return Kept(body, tuple(messages))

    def drop(self, name: str) -> bool:
        """Forgets it; whether it was there."""
        data = self._kept.pop(name, None)
        self._num_bytes -= len(data or b"")
        return data is not None


RESPONSES: web.AppKey[ResponseStore] = web.AppKey("responses", ResponseStore)
