"""Messages: what the two ends of a connection for sessions say to each other.

The connection is a websocket at `PATH`, opened with the key as `Authorization: Bearer …`; a wrong key is HTTP 401.
Every text frame is a JSON array of messages, each an object with its class below as `type` (see `runtime.sendable`);
what is ready at the same time goes into one frame. There are no binary frames.

    server → client   Hello, once and first
    client → server   Script, Cancel, Chosen, Tokenize, Texts, CompileAhead
    server → client   per call: Streamed …, then Generated; Rows, where the client chooses, then Scored; or
                      Counted | Listed | Tokenized | TokenTexts; or Failed. Refused, as the last word

One connection carries any number of sessions. The client numbers sessions and calls itself, each number used once on a
connection, so nothing waits for an answer: a script may fork sessions 7 and 8 and the next message may be their script.
A session's operations run in the order in which they come; those of different sessions run side by side.

The first failure of a session answers its call, and every later call of it, with `Failed`, and so do its forks that
have not begun. An operation without a call (an append of a token that does not exist) fails the calls behind it.
A message that breaks the protocol ends the connection with `Refused`. When the connection ends, so do its sessions.

A `Score` without `choosing` is one whose method only the client knows: the server sends `Rows` and waits for `Chosen`
before it goes on with that session. Cancelling answers what has not ended with `Failed`; only `Close` may follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias, TypeVar

from runtime.choosing import Choosing
from runtime.handle import Chunk, Generation, Scores
from runtime.hint import Hint
from runtime.sendable import Sendable
from runtime.wire.codec import Reader, encode
from runtime.wire.errors import Problem, ProtocolError

__all__ = [
    "MAX_FRAME_BYTES",
    "PATH",
    "VERSION",
    "Answer",
    "Append",
    "Cancel",
    "Chosen",
    "Close",
    "CompileAhead",
    "Concat",
    "Counted",
    "Failed",
    "Fork",
    "FromClient",
    "FromServer",
    "Generate",
    "Generated",
    "Hello",
    "Listed",
    "Mark",
    "Op",
    "Open",
    "Refused",
    "Rows",
    "Score",
    "Scored",
    "Script",
    "Streamed",
    "Template",
    "Texts",
    "TokenTexts",
    "Tokenize",
    "Tokenized",
    "Tokens",
    "Truncate",
    "read_from_client",
    "read_from_server",
    "write_frame",
]

T = TypeVar("T")

VERSION = 1
PATH = "/sessions/socket"
MAX_FRAME_BYTES = 64 << 20


# operations of a script


class Open(Sendable, frozen=True):
    """The session begins, empty. First in its script, unless it is a fork.

    `traceparent` is W3C's name of the span it belongs to, where the client traces.
    """

    namespace: str = ""
    program: str = ""
    traceparent: str = ""


class Append(Sendable, frozen=True):
    """More text, tokenized as one unit, or token ids."""

    content: str | tuple[int, ...]


class Generate(Sendable, frozen=True):
    """Lets the model write.

    Attributes:
        params: as `runtime.wire.params` writes them; read by whoever answers, so that a mistake in them is this call's.
        top_logprobs, logprob_start: as `runtime.session.Session.generate`.
        name: the variable it is for, for logs.
    """

    call: int
    params: dict[str, Any]
    top_logprobs: int | None = None
    logprob_start: int | None = None
    name: str | None = None


class Score(Sendable, frozen=True):
    """Scores texts as continuations and goes on with one of them; without `choosing`, with the client's choice.

    Attributes:
        unconditional, priority: as `runtime.session.Session.score`.
    """

    call: int
    choices: tuple[str, ...]
    choosing: Choosing | None = None
    name: str | None = None
    unconditional: bool = False
    priority: int = 0


class Fork(Sendable, frozen=True):
    """These sessions, which are new, begin here."""

    sessions: tuple[int, ...]


class Concat(Sendable, frozen=True):
    """Appends what these sessions, forks of this one, hold beyond the fork; answered by `Counted`.

    It waits until each of them has done everything that came before this message, choices of the client included; what
    comes behind is no part of it. A failure of one of them is this session's own.
    """

    call: int
    sessions: tuple[int, ...]


class Tokens(Sendable, frozen=True):
    """Asks for the tokens here and their origins; answered by `Listed`."""

    call: int


class Mark(Sendable, frozen=True):
    """Asks for the number of tokens here, to return to; answered by `Counted`."""

    call: int


class Truncate(Sendable, frozen=True):
    """Back to that many tokens."""

    num_tokens: int


class Close(Sendable, frozen=True):
    """The session ends when everything before this has."""


Op: TypeAlias = (
    Open | Append | Generate | Score | Fork | Concat | Tokens | Mark | Truncate | Hint | Close
)  # fmt: skip


# client → server


class Script(Sendable, frozen=True):
    """More operations for a session."""

    session: int
    ops: tuple[Op, ...]


class Cancel(Sendable, frozen=True):
    """Ends everything unfinished of a session, at once."""

    session: int


class Chosen(Sendable, frozen=True):
    """Answers `Rows`: the choice to go on with, or None where choosing failed."""

    call: int
    index: int | None


class Tokenize(Sendable, frozen=True):
    """Asks for the tokens of texts, each by itself; answered by `Tokenized`. Sessions will append these very texts."""

    call: int
    texts: tuple[str, ...]


class Texts(Sendable, frozen=True):
    """Asks for the texts of the tokens from `first` on, at most `count` of them; answered by `TokenTexts`."""

    call: int
    first: int
    count: int


class CompileAhead(Sendable, frozen=True):
    """Constraints, as `runtime.wire.params` writes them, that gens will be held to. There is no answer."""

    constraints: tuple[dict[str, Any], ...]


FromClient: TypeAlias = Script | Cancel | Chosen | Tokenize | Texts | CompileAhead


# server → client


class Template(Sendable, frozen=True):
    """A chat template's Jinja source, and the special tokens it may name."""

    source: str
    special_tokens: dict[str, str]


class Hello(Sendable, frozen=True, kw_only=True):
    """What the server is and can do.

    Attributes:
        version: of this protocol; another one ends the connection.
        model: its name. fingerprint: differs where the model, its weights' format or its tokenizer do.
        constraints: names of the spec classes that gens can be held to.
        score, unconditional, tokens, priority, labels, concat, hints, tokenizes, compiles_ahead: as
            `sgdsl.backends.base.Capabilities`.
        concurrency: requests it serves at once.
        context_length: tokens of the longest sequence.
    """

    model: str
    version: int = VERSION
    fingerprint: str = ""
    constraints: tuple[str, ...] = ()
    score: bool = True
    unconditional: bool = False
    tokens: bool = True
    priority: bool = False
    labels: bool = False
    concat: bool = False
    hints: bool = False
    tokenizes: bool = True
    compiles_ahead: bool = False
    concurrency: int = 64
    context_length: int | None = None
    chat_template: Template | None = None


class Streamed(Sendable, frozen=True):
    """One step of a generate."""

    call: int
    chunk: Chunk


class Generated(Sendable, frozen=True):
    """A generate has ended."""

    call: int
    result: Generation


class Rows(Sendable, frozen=True):
    """What the client is to choose by: per choice, its tokens' log probabilities, or what `unconditional` leaves."""

    call: int
    logprobs: tuple[tuple[float, ...], ...]


class Scored(Sendable, frozen=True):
    """A score has ended."""

    call: int
    result: Scores


class Counted(Sendable, frozen=True):
    """A number of tokens."""

    call: int
    num_tokens: int


class Listed(Sendable, frozen=True):
    """Tokens with their origin: "prompt", "generated" or "forced"."""

    call: int
    tokens: tuple[tuple[int, str], ...]


class Tokenized(Sendable, frozen=True):
    """The tokens of each text."""

    call: int
    tokens: tuple[tuple[int, ...], ...]


class TokenTexts(Sendable, frozen=True):
    """The texts of a run of tokens; fewer than asked for where the vocabulary ends."""

    call: int
    texts: tuple[str, ...]


class Failed(Sendable, frozen=True):
    """A call has failed."""

    call: int
    problem: Problem


class Refused(Sendable, frozen=True):
    """The server ends the connection, and says why."""

    problem: Problem


Answer: TypeAlias = Generated | Scored | Counted | Listed | Tokenized | TokenTexts
FromServer: TypeAlias = Hello | Streamed | Rows | Answer | Failed | Refused


_FROM_CLIENT: Reader[tuple[FromClient, ...]] = Reader(tuple[FromClient, ...])
_FROM_SERVER: Reader[tuple[FromServer, ...]] = Reader(tuple[FromServer, ...])


def write_frame(messages: Sequence[FromClient] | Sequence[FromServer]) -> str:
    """The text of a frame.

    Raises:
        TypeError, UnicodeEncodeError: a message holds what has no form in JSON.
    """
    return encode(messages).decode()


def read_from_client(frame: str | bytes) -> tuple[FromClient, ...]:
    """What a frame from a client says.

    Raises:
        ProtocolError: it is no JSON, or no array of these messages.
    """
    return _read(_FROM_CLIENT, frame)


def read_from_server(frame: str | bytes) -> tuple[FromServer, ...]:
    """What a frame from a server says.

    Raises:
        ProtocolError: it is no JSON, or no array of these messages.
    """
    return _read(_FROM_SERVER, frame)


def _read(reader: Reader[T], frame: str | bytes) -> T:
    try:
        return reader.decode(frame, "frame")
    except ProtocolError as error:
        raise ProtocolError(f"a frame that is not understood: {error}") from error
