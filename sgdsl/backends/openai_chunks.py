"""Chunks of the OpenAI API, as pieces of text. Servers send all kinds of things, so every field is looked at."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from runtime.errors import RequestError
from sgdsl.backends.text.model import Piece, PieceLogprob, TextUsage

__all__ = ["chat_piece", "close_stream", "completion_piece", "pieces", "usage_of"]


async def pieces(stream: Any, read: Any) -> AsyncGenerator[Piece, None]:
    """A stream's chunks as `read` reads them; the stream is closed with the iteration, read to its end or not.

    Raises:
        RequestError: a chunk is not of the API's form.
    """
    try:
        async for chunk in stream:
            try:
                piece = read(chunk)
            except (AttributeError, TypeError, ValueError, LookupError) as error:
                if isinstance(error, RequestError):
                    raise
                raise RequestError(f"the server sent a chunk that is not of the API's form: {chunk!r:.300}") from error
            yield piece
    finally:
        await close_stream(stream)


async def close_stream(stream: Any) -> None:
    """Closes a client's stream, whatever it calls that."""
    close = getattr(stream, "close", None) or getattr(stream, "aclose", None)
    if close is not None:
        await close()


def chat_piece(chunk: Any) -> Piece:
    """A chunk of a chat."""
    if not chunk.choices:
        return Piece(usage=usage_of(chunk))
    choice = chunk.choices[0]
    delta = choice.delta
    if refusal := getattr(delta, "refusal", None):
        raise RequestError(f"the model refused: {refusal}")
    logprobs = getattr(choice, "logprobs", None)
    return Piece(
        text=_string(delta.content if delta is not None else None), finish_reason=_reason(choice),
        logprobs=tuple(map(_logprob, getattr(logprobs, "content", None) or ())),
        matched_stop=_matched(choice), usage=usage_of(chunk),
    )  # fmt: skip


def _logprob(one: Any) -> PieceLogprob:
    top = tuple((_number(other.logprob), _string(other.token)) for other in one.top_logprobs or ())
    return PieceLogprob(_string(one.token), _number(one.logprob), top)


def completion_piece(chunk: Any) -> Piece:
    """A chunk of a completion."""
    if not chunk.choices:
        return Piece(usage=usage_of(chunk))
    choice = chunk.choices[0]
    found = getattr(choice, "logprobs", None)
    logprobs: list[PieceLogprob] = []
    if found is not None and found.tokens:
        tops = found.top_logprobs or [None] * len(found.tokens)
        for token, logprob, top in zip(found.tokens, found.token_logprobs, tops, strict=True):
            best = sorted(((_number(p), text) for text, p in (top or {}).items()), reverse=True)
            logprobs.append(PieceLogprob(token, _number(logprob), tuple(best)))
    return Piece(
        text=_string(choice.text), logprobs=tuple(logprobs), finish_reason=_reason(choice),
        matched_stop=_matched(choice), usage=usage_of(chunk),
    )  # fmt: skip


def usage_of(answer: Any) -> TextUsage | None:
    """The tokens an answer says it has used, if it does."""
    usage = getattr(answer, "usage", None)
    if usage is None:
        return None
    details = getattr(usage, "prompt_tokens_details", None)
    cached = getattr(details, "cached_tokens", None) if details is not None else None
    return TextUsage(int(usage.prompt_tokens or 0), int(cached or 0), int(usage.completion_tokens or 0))


def _string(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.100} is not a string")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r:.100} is not a number")
    return float(value)


def _reason(choice: Any) -> str | None:
    reason = choice.finish_reason
    if reason is None or reason in ("stop", "length"):
        return None if reason is None else str(reason)
    raise RequestError(f"the server ended the answer with finish_reason={reason!r:.100}")


def _matched(choice: Any) -> str | None:
    """Which stop it was, where the server says so (vLLM and SGLang do)."""
    for name in ("stop_reason", "matched_stop"):
        value = getattr(choice, name, None)
        if isinstance(value, str):
            return value
    return None
