"""Messages: what the server's process and the engine's say to each other, in msgpack.

Sessions are `runtime.session.Session` on the server's side, where texts become tokens; their scripts are sent as they
are recorded. Whatever the protocol of clients (`runtime.wire`) has a message for is that very message here.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from runtime.choosing import Choosing
from runtime.hint import Hint
from runtime.sendable import Sendable
from runtime.wire import messages as wire
from runtime.wire.errors import Problem

__all__ = [
    "Ask",
    "Broken",
    "Cache",
    "FromEngine",
    "FromServer",
    "Gather",
    "Leave",
    "Op",
    "Part",
    "Ping",
    "Pinned",
    "Pong",
    "ScoreIds",
    "Script",
    "Settings",
    "Started",
    "Stop",
    "Unpin",
    "Value",
    "encode",
    "read_from_engine",
    "read_from_server",
]


class Settings(Sendable, frozen=True):
    """The first and only line of the engine process's standard input, as JSON.

    Attributes:
        settings: of the engine, flat.
        token: begins every frame; others are dropped.
        orders, answers: addresses of the sockets for what the server and what the engine says.
        parent: the server's process.
        log_level: of the engine's log, which goes to standard error.
    """

    settings: dict[str, Any]
    token: bytes
    orders: str
    answers: str
    parent: int
    log_level: int


# operations of a script


class ScoreIds(Sendable, frozen=True):
    """A score whose texts are tokens already, as `runtime.scoring.Score`; without `choosing` the server is asked."""

    call: int
    tail: tuple[int, ...]
    alternatives: tuple[tuple[int, ...], ...]
    choosing: Choosing | None = None
    unconditional: bool = False
    priority: int = 0


class Gather(Sendable, frozen=True):
    """A concatenation of forks, each of which has a `Part` in its script."""

    call: int
    sessions: tuple[int, ...]


class Part(Sendable, frozen=True):
    """Where in a fork's script its part of a concatenation is taken; `call` is that of its `Gather`."""

    call: int
    place: int


class Pinned(Sendable, frozen=True):
    """Keeps what stands here in the cache; answered by `Value`, the pin's name."""

    call: int
    ttl_seconds: float


Op: TypeAlias = (
    wire.Open | wire.Append | wire.Generate | ScoreIds | wire.Fork | Gather | Part
    | wire.Tokens | wire.Mark | Pinned | wire.Truncate | Hint | wire.Close
)  # fmt: skip


# server → engine


class Script(Sendable, frozen=True):
    """More operations for a session."""

    session: int
    ops: tuple[Op, ...]


class Leave(Sendable, frozen=True):
    """Nobody holds that session any more."""

    session: int


class Ask(Sendable, frozen=True):
    """A question to the engine as a whole; answered by `Value`."""

    call: int
    question: Literal["stats", "server_info", "flush_cache"]


class Cache(Sendable, frozen=True):
    """Asks what is in the prefix cache, as `Engine.cache`; answered by `Value`."""

    call: int
    limit: int
    namespace: str | None = None


class Unpin(Sendable, frozen=True):
    """Ends a pin; answered by `Value`."""

    call: int
    pin: str


class Ping(Sendable, frozen=True):
    """Asks the step loop for a sign of life."""

    number: int


class Stop(Sendable, frozen=True):
    """The engine shuts down, and its process ends."""


FromServer: TypeAlias = (
    Script | wire.Cancel | Leave | wire.Chosen | wire.CompileAhead | Ask | Cache | Unpin | Ping | Stop
)


# engine → server


class Started(Sendable, frozen=True):
    """The engine serves.

    Attributes:
        model: its name.
        context_length: tokens of the longest sequence.
        lines: what every setting became, and why.
    """

    model: str
    context_length: int
    lines: tuple[str, ...]


class Broken(Sendable, frozen=True):
    """The engine cannot start, or its step loop has died; its process ends.

    Attributes:
        problem: why.
        remedy: of a `ConfigError`.
    """

    problem: Problem
    remedy: dict[str, Any] | None = None


class Value(Sendable, frozen=True):
    """An answer that is plain data."""

    call: int
    value: Any


class Pong(Sendable, frozen=True):
    """The step loop has come by."""

    number: int


FromEngine: TypeAlias = (
    Started | Broken | wire.Streamed | wire.Generated | wire.Rows | wire.Scored | wire.Counted
    | wire.Listed | Value | wire.Failed | Pong
)  # fmt: skip

_ENCODER = msgspec.msgpack.Encoder(enc_hook=str)
_FROM_SERVER = msgspec.msgpack.Decoder(tuple[FromServer, ...])
_FROM_ENGINE = msgspec.msgpack.Decoder(tuple[FromEngine, ...])


def encode(value: Any) -> bytes:
    """A message, or a list of messages, `msgspec.Raw` ones among them.

    Raises:
        OverflowError: an integer needs more than 64 bits.
        UnicodeEncodeError: a text holds half of a character.
    """
    return _ENCODER.encode(value)


def read_from_server(frame: bytes) -> tuple[FromServer, ...]:
    """The messages of a frame for the engine."""
    return _FROM_SERVER.decode(frame)


def read_from_engine(frame: bytes) -> tuple[FromEngine, ...]:
    """The messages of a frame from the engine."""
    return _FROM_ENGINE.decode(frame)
