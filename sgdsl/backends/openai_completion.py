"""CompletionModel: a model behind the completion interface of the OpenAI API, which goes on with a plain text."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from runtime.errors import RequestError
from sgdsl.backends.openai_chunks import completion_piece, pieces, usage_of
from sgdsl.backends.openai_fields import Dialect, completion_fields
from sgdsl.backends.text.model import ChoiceScores, Piece, PieceLogprob, TextCall, TextUsage
from sgdsl.backends.text.transcript import Transcript, text_of
from sgdsl.tracing import trace_headers

__all__ = ["CompletionModel"]


class CompletionModel:
    """Asks with a prompt, and scores choices by having them echoed.

    Args:
        client: an `openai.AsyncOpenAI`.
        dialect: what the server takes.
        more: further fields of every request.
    """

    goes_on = True

    def __init__(self, client: Any, dialect: Dialect, **more: Any) -> None:
        self._client = client
        self._dialect = dialect
        self._more = more

    async def stream(self, call: TextCall) -> AsyncGenerator[Piece, None]:
        """The text as it comes."""
        fields = completion_fields(call, self._dialect)
        body = {**self._more.get("extra_body", {}), **fields.pop("extra_body", {})}
        more = {name: value for name, value in self._more.items() if name != "extra_body"}
        if body:
            fields["extra_body"] = body
        if headers := trace_headers():
            more["extra_headers"] = headers
        stream = await self._client.completions.create(
            prompt=text_of(call.transcript), stream=True, stream_options={"include_usage": True}, **fields, **more
        )
        async with aclosing(pieces(stream, completion_piece)) as found:
            async for piece in found:
                yield piece

    async def score(self, transcript: Transcript, choices: Sequence[str]) -> ChoiceScores:
        """Has the prompt with each choice behind it echoed with its log probabilities, all in one request.

        Raises:
            RequestError: there is no prompt, or the server's echo is not of the API's form.
        """
        prompt = text_of(transcript)
        if not prompt:
            raise RequestError("a select needs some text before it: the first token of a text has no log probability")
        answer = await self._client.completions.create(
            prompt=[prompt + choice for choice in choices], max_tokens=0, echo=True, logprobs=0, temperature=0,
            **self._more,
        )  # fmt: skip
        try:
            echoes: list[_Echo | None] = [None] * len(choices)
            for found in answer.choices:
                echoes[found.index] = _echo(found, choices[found.index])
            return _scores(echoes, usage_of(answer))
        except (AttributeError, TypeError, ValueError, LookupError) as error:
            if isinstance(error, RequestError):
                raise
            raise RequestError(f"the server's echo is not of the API's form: {answer!r:.300}") from error

    async def close(self) -> None:
        """Closes the client."""
        await self._client.close()


@dataclass(frozen=True, slots=True)
class _Echo:
    """The tokens of a prompt with a choice, and how many of them come before the choice's own."""

    tokens: list[PieceLogprob]
    num_before: int


def _echo(found: Any, choice: str) -> _Echo:
    """Reads one echo. The choice is looked for from the end, because servers write some of a prompt's characters anew.

    Raises:
        RequestError: it does not end with the choice.
    """
    texts, logprobs = list(found.logprobs.tokens), list(found.logprobs.token_logprobs)
    for end in (len(texts), len(texts) - 1):  # some servers write a token though none is asked for
        start, tail = end, ""
        while start > 0 and len(tail) < len(choice):
            start -= 1
            tail = texts[start] + tail
        if tail.endswith(choice):
            pairs = zip(texts[:end], logprobs[:end], strict=True)
            return _Echo([PieceLogprob(text, 0.0 if p is None else float(p)) for text, p in pairs], start)
    raise RequestError(f"the server's echo does not end with {choice!r}: {''.join(texts)[-100:]!r}")


def _scores(echoes: Sequence[_Echo | None], usage: TextUsage | None) -> ChoiceScores:
    """What stands behind the tokens that all echoes share before the choices.

    A token that reaches from the prompt into its choice counts: that is how the joined text is really written.
    """
    whole = [echo for echo in echoes if echo is not None]
    if len(whole) < len(echoes):
        raise RequestError("the server did not echo every choice")
    common = 0
    for column in zip(*(echo.tokens[: echo.num_before] for echo in whole), strict=False):
        if len({one.text for one in column}) > 1:
            break
        common += 1
    return ChoiceScores(rows=tuple(tuple(echo.tokens[common:]) for echo in whole), usage=usage or TextUsage())
