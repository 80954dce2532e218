"""Text generation: one call of a text model, from its pieces to a finished generation."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from runtime.handle import Chunk, Generation
from runtime.sampling.stop import StopMatcher
from sgdsl.backends.text.answer import check_text
from sgdsl.backends.text.model import Piece, PieceLogprob, TextCall, TextModel, TextUsage
from sgdsl.backends.text.token_texts import TokenTexts

__all__ = ["Written", "generate", "write"]


@dataclass(slots=True)
class Written:
    """What has come of a call so far.

    Attributes:
        pieces: texts as they came, one token each with most servers.
    """

    pieces: list[str] = field(default_factory=list)
    logprobs: list[PieceLogprob] = field(default_factory=list)
    finish_reason: str | None = None
    matched_stop: str | None = None
    usage: TextUsage | None = None
    began: float = field(default_factory=time.monotonic)
    first: float | None = None

    def take(self, piece: Piece) -> None:
        """One more piece."""
        if piece.text:
            self.pieces.append(piece.text)
            self.first = self.first or time.monotonic()
        self.logprobs.extend(piece.logprobs)
        self.finish_reason = piece.finish_reason or self.finish_reason
        self.matched_stop = piece.matched_stop or self.matched_stop
        self.usage = piece.usage or self.usage

    def generation(
        self, text: str, token_texts: TokenTexts, *, with_logprobs: bool = False, since: float | None = None
    ) -> Generation:
        """The whole of it, as a result whose text is `text`."""
        usage = self.usage or TextUsage()
        logprobs = token_texts.logprobs(_covering(self.logprobs, len(text)))
        since = self.began if since is None else since
        count = usage.completion_tokens
        return Generation(
            text=text, token_ids=tuple(one.token for one in logprobs), finish_reason=self.finish_reason or "stop",
            matched_stop=self.matched_stop, num_generated=len(self.pieces) if count is None else count,
            prompt_tokens=usage.prompt_tokens, cached_tokens=usage.cached_tokens,
            logprobs=logprobs if with_logprobs else None, queue_seconds=self.began - since,
            first_token_seconds=(self.first or time.monotonic()) - since, total_seconds=time.monotonic() - since,
        )  # fmt: skip


async def write(model: TextModel, call: TextCall, on_text: Callable[[str], bool]) -> Written:
    """Reads a call to its end, or until `on_text` has enough of it, which aborts the request.

    Raises:
        ConnectionError: the stream ended before the answer did.
        Exception: whatever the client raises.
    """
    written = Written()
    async with aclosing(model.stream(call)) as pieces:
        async for piece in pieces:
            written.take(piece)
            if piece.text and on_text(piece.text):
                written.finish_reason = "stop"
                return written
    if written.finish_reason is None:
        raise ConnectionError("the server's stream ended before its answer did")
    return written


async def generate(
    model: TextModel, call: TextCall, push: Callable[[Chunk], None], token_texts: TokenTexts, since: float
) -> Generation:
    """One gen: pieces are pushed as they are certain, and stops are no part of the text.

    Stops are looked for here as well, because servers know few of them and no patterns.

    Raises:
        ValueError: the answer breaks its constraint.
        ConnectionError: the stream ended before the answer did.
    """
    params = call.params
    matcher = StopMatcher(params.stop, params.stop_regex)
    emitted: list[str] = []

    def emit(text: str) -> None:
        if text:
            emitted.append(text)
            push(Chunk(text))

    least = params.min_new_tokens

    def read(text: str) -> bool:
        nonlocal least
        if least > 0:  # stops are held back; each piece counts as one token
            least -= 1
            emit(text)
            return False
        found = matcher.push(text)
        emit(found.emit)
        return found.matched is not None

    written = await write(model, call, read)
    emit(matcher.flush())
    written.matched_stop = matcher.matched or written.matched_stop
    text = "".join(emitted)
    if params.constraint is not None and written.finish_reason == "stop" and written.matched_stop is None:
        await asyncio.to_thread(check_text, text, params.constraint)
    return written.generation(text, token_texts, with_logprobs=call.top_logprobs is not None, since=since)


def _covering(logprobs: Sequence[PieceLogprob], length: int) -> list[PieceLogprob]:
    """Those of the tokens that make up the first `length` characters."""
    kept: list[PieceLogprob] = []
    for one in logprobs:
        if length <= 0:
            break
        kept.append(one)
        length -= len(one.text)
    return kept
