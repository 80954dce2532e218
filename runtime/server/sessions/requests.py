"""Requests: bodies of sessions by plain HTTP."""

from __future__ import annotations

from pydantic import StrictBool, StrictFloat, StrictInt, StrictStr

from runtime.server.native.requests import Body, GenerationBody

__all__ = ["AppendBody", "ConcatBody", "ForkBody", "GenerateHereBody", "OpenBody", "ScoreBody", "TruncateBody"]


class AppendBody(Body):
    """More text, tokenized as one unit, or token ids."""

    text: StrictStr | None = None
    input_ids: list[StrictInt] | None = None


class OpenBody(AppendBody):
    """A new session, which may begin with something at once."""

    namespace: StrictStr = ""
    program: StrictStr = ""


class GenerateHereBody(GenerationBody):
    """A generation on a session."""


class ScoreBody(Body):
    """Texts to score as continuations, and how to choose among them."""

    choices: list[StrictStr]
    method: StrictStr = "token_length_normalized"
    temperature: StrictFloat | StrictInt = 0.0
    seed: StrictInt | None = None
    unconditional: StrictBool = False
    priority: StrictInt = 0


class ForkBody(Body):
    """How many forks."""

    n: StrictInt = 1


class ConcatBody(Body):
    """Forks of the session, in the order in which what they hold is appended."""

    sessions: list[StrictStr]


class TruncateBody(Body):
    """How many tokens stay."""

    num_tokens: StrictInt
