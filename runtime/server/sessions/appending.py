"""Appending: what is appended to a session by plain HTTP, as long as the model's context has room for it.

The engine would refuse it too, but only when its turn comes, and the session would be over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from runtime.server.errors import ApiError, bad_request
from runtime.server.native.samples import LONG_TEXT, append
from runtime.server.served_engine import ServedEngine
from runtime.server.sessions.held import HeldSession

__all__ = ["append_within", "most_of"]

Count = Callable[[], Awaitable[int]]


async def append_within(engine: ServedEngine, held: HeldSession, content: str | Sequence[int], count: Count) -> None:
    """Appends. Nothing is counted before an upper bound of the session's tokens reaches the context.

    Args:
        count: how many tokens the session has; waits for what the session is doing.

    Raises:
        ApiError: the session would have more tokens than the context (400); it stays as it was.
        InvalidParameter: ids that are none.
    """
    async with held.appending:
        limit, most = engine.context_length, most_of(content)
        if held.most_tokens is None or held.most_tokens + most > limit:
            held.most_tokens = await count()
            most = await _num_tokens(engine, content, begins=held.most_tokens == 0)
            if held.most_tokens + most > limit:
                raise _refused(held.most_tokens, most, limit, content)
        await append(held.session, content)
        held.grow(most)


def most_of(content: str | Sequence[int]) -> int:
    """At most so many tokens: one each byte, and one that begins."""
    return len(content.encode("utf-8", "surrogatepass")) + 1 if isinstance(content, str) else len(content)


async def _num_tokens(engine: ServedEngine, content: str | Sequence[int], *, begins: bool) -> int:
    if not isinstance(content, str):
        return len(content)
    tokenizer = engine.tokenizer
    add_bos = begins and tokenizer.adds_bos
    if len(content) > LONG_TEXT:
        return len(await asyncio.to_thread(tokenizer.encode, content, add_bos=add_bos))
    return len(tokenizer.encode(content, add_bos=add_bos))


def _refused(held: int, more: int, limit: int, content: str | Sequence[int]) -> ApiError:
    field = "text" if isinstance(content, str) else "input_ids"
    message = f"{field}: {more} tokens behind {held} of the session are more than context_length={limit} allows"
    return bad_request(field, f"{message}; nothing was appended", "context_length_exceeded")
