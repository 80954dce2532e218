"""Entries: what a record says, one frozen entry for each thing that happened. Nothing here writes or reads files.

All seconds are of one monotonic clock that starts with the record.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from sgdsl.sampling import Sampling
from sgdsl.source import Source
from sgdsl.usage import Usage

__all__ = [
    "VERSION",
    "Ended",
    "Entry",
    "Failed",
    "Failure",
    "FirstToken",
    "HandedOver",
    "Header",
    "Instruction",
    "RunBegun",
    "RunEnded",
    "Sample",
    "Scored",
    "StreamBegun",
    "Token",
]

VERSION = 1


class Token(NamedTuple):
    """One token.

    Attributes:
        id: in the model's vocabulary.
        text: of this token; one that ends inside a character has none, and the last of that character has it all.
        origin: "cached" (of the prompt, its KV was there), "prompt", "generated" or "forced".
        logprob: when it was asked for.
    """

    id: int
    text: str
    origin: str
    logprob: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The first entry of a record.

    Attributes:
        started_at: wall time at which its clock began, in ISO 8601.
    """

    version: int = VERSION
    started_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunBegun:
    """A program's function was called.

    Attributes:
        run: its number in the record, from 1.
        file, line: where the function stands.
        arguments: their names and their shortened `repr`.
        backend, model: what runs it; the model where it is known.
        outer: the run whose program called this one.
    """

    run: int
    seconds: float
    program: str
    file: str = ""
    line: int = 0
    arguments: tuple[tuple[str, str], ...] = ()
    backend: str = ""
    model: str | None = None
    outer: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamBegun:
    """A stream began: the program's own (0), or one that instruction `at` of stream `parent` forked."""

    run: int
    stream: int
    seconds: float
    parent: int | None = None
    at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """An instruction was recorded.

    Attributes:
        id: its number in the run, from 0.
        kind: as the IR calls it: "text", "gen", "select", "role_begin", "fork" …
        name: of the variable or the role.
        source: the program's line.
        text: of constant text and role edges.
        choices: of a select.
        sampling: of a gen, the run's defaults included.
        constraint: the kind of a gen's constraint.
        streams: those a fork makes or a join ends; names: those a join hands back.
        checkpoint: the index of a checkpoint, or of the one a rollback returns to.
    """

    run: int
    id: int
    stream: int
    seconds: float
    kind: str
    name: str | None = None
    source: Source | None = None
    text: str = ""
    choices: tuple[str, ...] = ()
    sampling: Sampling | None = None
    constraint: str | None = None
    streams: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    checkpoint: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOver:
    """The backend got an instruction."""

    run: int
    id: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstToken:
    """The first text of a gen arrived."""

    run: int
    id: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One text of a gen.

    Attributes:
        tokens: of the text. num_generated: new tokens, the stopping one included; num_forced of them needed no model.
        written_ahead: an earlier call had written it already.
        queue_seconds, first_token_seconds, total_seconds: as the backend measured them, since submission.
    """

    text: str
    tokens: tuple[Token, ...] = ()
    prompt_tokens: int = 0
    cached_tokens: int = 0
    num_generated: int = 0
    num_forced: int = 0
    finish_reason: str = ""
    matched_stop: str | int | None = None
    written_ahead: bool = False
    queue_seconds: float = 0.0
    first_token_seconds: float = 0.0
    total_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A choice of a select: its score, and its tokens with their log probabilities."""

    score: float
    tokens: tuple[Token, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A gen, a select or a read of tokens came to its end.

    Attributes:
        text: what it adds to the stream's text.
        prompt_start: position in the stream of the first of `prompt`.
        prompt: the tokens before it that no earlier entry of the stream has named.
        prompt_tokens, cached_tokens: all tokens before it, and those of them that needed no computing.
        samples: of a gen. scored: of a select that scores, in the order of its choices; `index` is the one taken.
    """

    run: int
    id: int
    seconds: float
    text: str = ""
    prompt_start: int = 0
    prompt: tuple[Token, ...] = ()
    prompt_tokens: int = 0
    cached_tokens: int = 0
    samples: tuple[Sample, ...] = ()
    scored: tuple[Scored, ...] = ()
    index: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An error: the type's name, the message, and the program's line."""

    type: str
    message: str
    source: Source | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """An instruction did not come to its end. `is_cause`: it failed itself, and ended others."""

    run: int
    id: int
    seconds: float
    failure: Failure
    is_cause: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded:
    """A run is over.

    Attributes:
        status: "completed", "failed", "cancelled" or "timeout".
        value: what the function returned, as a shortened `repr`.
        variables: of the program's own stream, likewise.
        usage: programs called from it included.
    """

    run: int
    seconds: float
    status: str
    value: str = "None"
    variables: tuple[tuple[str, str], ...] = ()
    failure: Failure | None = None
    usage: Usage = field(default_factory=Usage)


Entry: TypeAlias = (
    Header
    | RunBegun
    | StreamBegun
    | Instruction
    | HandedOver
    | FirstToken
    | Ended
    | Failed
    | RunEnded
)  # fmt: skip
