"""CompletionModel: a model behind the completion interface of the OpenAI API, which goes on with a plain text."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from runtime.errors import RequestError
from sgdsl.backends.openai_chunks import completion_piece, pieces, usage_of
from sgdsl.backends.openai_fields import Dialect, completion_fields
from sgdsl.backends.text.model import ChoiceScores, Piece, PieceLogprob, TextCall, TextUsage
from sgdsl.backends.text.transcript import Transcript, text_of

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
            echoes: list[list[PieceLogprob]] = [[] for _ in choices]
            for found in answer.choices:
                echoes[found.index] = _echo(found, prompt + choices[found.index])
            return _scores(echoes, len(prompt), usage_of(answer))
        except (AttributeError, TypeError, ValueError, LookupError) as error:
            if isinstance(error, RequestError):
                raise
            raise RequestError(f"the server's echo is not of the API's form: {answer!r:.300}") from error

    async def close(self) -> None:
        """Closes the client."""
        await self._client.close()


def _echo(found: Any, text: str) -> list[PieceLogprob]:
    """The tokens of `text`; what a server puts before it (a begin token) or writes behind it is left out.

    Raises:
        RequestError: the tokens do not make up the text.
    """
    tokens, logprobs = list(found.logprobs.tokens), list(found.logprobs.token_logprobs)
    for start in range(min(2, len(tokens))):
        length, count = 0, start
        while count < len(tokens) and length < len(text) and text.startswith(tokens[count], length):
            length += len(tokens[count])
            count += 1
        if length == len(text):
            pairs = zip(tokens[start:count], logprobs[start:count], strict=True)
            return [PieceLogprob(token, 0.0 if logprob is None else float(logprob)) for token, logprob in pairs]
    raise RequestError(f"the server's echo does not make up the text that was sent: {''.join(tokens)[-100:]!r}")


def _scores(echoes: Sequence[Sequence[PieceLogprob]], boundary: int, usage: TextUsage | None) -> ChoiceScores:
    """What stands behind the tokens that all choices share before the boundary.

    A token that reaches across the boundary counts: that is how the joined text is really written.
    """
    if not all(echoes):
        raise RequestError("the server did not echo every choice")
    common, length = 0, 0
    for column in zip(*echoes, strict=False):
        texts = {one.text for one in column}
        if len(texts) > 1 or length + len(column[0].text) > boundary:
            break
        common, length = common + 1, length + len(column[0].text)
    return ChoiceScores(rows=tuple(tuple(row[common:]) for row in echoes), usage=usage or TextUsage())
