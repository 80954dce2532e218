"""TextModel: a model that is asked for text, as its client shows it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from sgdsl.backends.text.transcript import Transcript

if TYPE_CHECKING:
    from runtime.sampling.params import SamplingParams

__all__ = ["ChoiceScores", "Piece", "PieceLogprob", "TextCall", "TextModel", "TextUsage"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextCall:
    """One call.

    Attributes:
        transcript: everything before it.
        params: how to sample; n is 1.
        top_logprobs: log probabilities wanted: None for none, else how many alternatives to each token.
    """

    transcript: Transcript
    params: SamplingParams
    top_logprobs: int | None = None


@dataclass(frozen=True, slots=True)
class PieceLogprob:
    """A token's text, its log probability, and the alternatives as (logprob, text), best first."""

    text: str
    logprob: float
    top: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True, slots=True)
class TextUsage:
    """Tokens as the server counts them."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What a stream delivers at once, each part where the server sends it.

    Attributes:
        finish_reason: "stop" or "length", once. matched_stop: what ended the text, where the server says so.
    """

    text: str = ""
    logprobs: tuple[PieceLogprob, ...] = ()
    finish_reason: str | None = None
    matched_stop: str | None = None
    usage: TextUsage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceScores:
    """Per choice, the tokens behind the common beginning."""

    rows: tuple[tuple[PieceLogprob, ...], ...]
    usage: TextUsage = field(default_factory=TextUsage)


class TextModel(Protocol):
    """A model behind a client with an async interface. Everything is called on one event loop."""

    goes_on: bool
    """Whether it continues a text, or an assistant message, that has begun already."""

    def stream(self, call: TextCall) -> AsyncGenerator[Piece, None]:
        """The model's text as it comes. Closing it early aborts the request."""

    async def score(self, transcript: Transcript, choices: Sequence[str]) -> ChoiceScores:
        """Log probabilities of given continuations."""

    async def close(self) -> None:
        """Closes the client."""
