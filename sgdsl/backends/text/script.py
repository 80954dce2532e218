"""Text script: what a session of a text backend is to do, one instruction each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from runtime.handle import Generation, Handle, Scores
from sgdsl.backends.base import Choose
from sgdsl.backends.text.transcript import Part

if TYPE_CHECKING:
    from runtime.sampling.params import SamplingParams
    from sgdsl.backends.text.session import TextSession

__all__ = ["Append", "Fork", "Generate", "Mark", "Op", "Score", "Truncate"]


@dataclass(frozen=True, slots=True)
class Append:
    """More of the transcript."""

    part: Part


@dataclass(frozen=True, slots=True)
class Truncate:
    """Back to so many parts."""

    num_parts: int


@dataclass(frozen=True, slots=True)
class Mark:
    """How many parts there are."""

    handle: Handle[int]


@dataclass(frozen=True, slots=True)
class Fork:
    """The children begin with what there is."""

    children: list[TextSession]


@dataclass(frozen=True, slots=True)
class Generate:
    """A gen."""

    handle: Handle[Generation]
    params: SamplingParams
    top_logprobs: int | None
    since: float


@dataclass(frozen=True, slots=True)
class Score:
    """A select by scores."""

    handle: Handle[Scores]
    choices: tuple[str, ...]
    choose: Choose
    since: float = field(default=0.0)


Op: TypeAlias = Append | Truncate | Mark | Fork | Generate | Score
