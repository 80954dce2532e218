"""Outbox: answers that a client has not taken yet, bounded."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from contextlib import suppress

from runtime.handle import Chunk
from runtime.wire import messages as wire

__all__ = ["Outbox", "OutboxFull", "merged"]

MESSAGE_BYTES = 64
TOKEN_BYTES = 24
LOGPROB_BYTES = 48


class OutboxFull(Exception):
    """The client takes its answers too slowly."""


class Outbox:
    """Filled from any thread, emptied on the loop. Streamed pieces of one call that wait together become one.

    Args:
        loop: where it is emptied.
        most_bytes: what may wait, about.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, most_bytes: int) -> None:
        self._loop = loop
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._messages: list[wire.FromServer] = []
        self._num_bytes = 0
        self._is_full = self._is_closed = False
        self._filled = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()

    @property
    def num_bytes(self) -> int:
        """What waits, about."""
        return self._num_bytes

    def put(self, message: wire.FromServer) -> None:
        """One more answer. Nothing is kept of it once the outbox is full or closed."""
        size = size_of(message)
        with self._lock:
            if self._is_full or self._is_closed:
                return
            wakes = not self._messages
            self._messages.append(message)
            self._num_bytes += size
            if self._num_bytes > self._most_bytes:
                self._is_full, self._messages = True, []
                wakes = True
        if wakes:
            with suppress(RuntimeError):  # the loop was closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._filled.set)

    async def take(self) -> list[wire.FromServer]:
        """Everything that waits, as soon as there is something.

        Raises:
            OutboxFull: there was more than may wait.
        """
        await self._filled.wait()
        with self._lock:
            self._filled.clear()
            messages, self._messages = self._messages, []
            if self._is_full:
                raise OutboxFull(f"more than {self._most_bytes} bytes of answers wait to be taken")
        return merged(messages)

    def taken(self) -> None:
        """What `take` gave last was sent."""
        with self._lock:
            self._num_bytes = sum(map(size_of, self._messages))
        if self._num_bytes <= self._most_bytes // 4:
            self._has_room.set()

    async def room(self) -> None:
        """Suspends while so much waits that the client should not ask for more."""
        if self._num_bytes > self._most_bytes // 4:
            self._has_room.clear()
        await self._has_room.wait()

    def close(self) -> None:
        """Nobody takes anything any more."""
        with self._lock:
            self._is_closed, self._messages, self._num_bytes = True, [], 0


def merged(messages: Sequence[wire.FromServer]) -> list[wire.FromServer]:
    """The messages, of each call's streamed pieces the first one in place of all."""
    pieces: dict[int, list[Chunk]] = {}
    for message in messages:
        if isinstance(message, wire.Streamed):
            pieces.setdefault(message.call, []).append(message.chunk)
    found: list[wire.FromServer] = []
    for message in messages:
        if not isinstance(message, wire.Streamed):
            found.append(message)
        elif (chunks := pieces.pop(message.call, None)) is not None:
            found.append(message if len(chunks) == 1 else wire.Streamed(message.call, _joined(chunks)))
    return found


def _joined(chunks: Sequence[Chunk]) -> Chunk:
    return Chunk(
        "".join(chunk.text for chunk in chunks),
        tuple(token for chunk in chunks for token in chunk.token_ids),
        tuple(entry for chunk in chunks for entry in chunk.logprobs),
    )


def size_of(message: wire.FromServer) -> int:
    """About how many bytes a message is, of the kinds that can be large."""
    if isinstance(message, wire.Streamed):
        chunk = message.chunk
        return MESSAGE_BYTES + 2 * len(chunk.text) + TOKEN_BYTES * len(chunk.token_ids) + _logprob_bytes(chunk.logprobs)
    if isinstance(message, wire.Generated):
        found = message.result
        own = 2 * len(found.text) + TOKEN_BYTES * len(found.token_ids)
        return MESSAGE_BYTES + own + sum(_logprob_bytes(one or ()) for one in (found.logprobs, found.prompt_logprobs))
    if isinstance(message, wire.Listed):
        return MESSAGE_BYTES + TOKEN_BYTES * len(message.tokens)
    if isinstance(message, wire.Tokenized):
        return MESSAGE_BYTES + TOKEN_BYTES * sum(map(len, message.tokens))
    if isinstance(message, wire.TokenTexts):
        return MESSAGE_BYTES + TOKEN_BYTES * len(message.texts)
    if isinstance(message, wire.Rows):
        return MESSAGE_BYTES + TOKEN_BYTES * sum(map(len, message.logprobs))
    if isinstance(message, wire.Scored):
        return MESSAGE_BYTES + 2 * TOKEN_BYTES * sum(map(len, message.result.logprobs))
    return MESSAGE_BYTES


def _logprob_bytes(entries: Sequence[object]) -> int:
    return sum(LOGPROB_BYTES * (1 + len(getattr(entry, "top", ()))) for entry in entries)
