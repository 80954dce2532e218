"""Handle: a result that is still being made, readable from threads, coroutines and callbacks alike."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from runtime.errors import anew
from runtime.sendable import Sendable

__all__ = ["Chunk", "Generation", "Handle", "Scores", "TokenLogprob", "gains"]

T = TypeVar("T")

log = logging.getLogger("sgdsl.engine")


class TokenLogprob(Sendable, frozen=True, gc=False):
    """One token's log probability, and the likeliest alternatives as (logprob, token id), best first."""

    logprob: float
    token: int
    top: tuple[tuple[float, int], ...] = ()


class Chunk(Sendable, frozen=True, gc=False):
    """What one step added: whole characters only; stop strings and their possible beginnings are held back."""

    text: str
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()


class Generation(Sendable, frozen=True, kw_only=True):
    """A finished generate call.

    Attributes:
        text: the new text, without stop string or end token.
        token_ids: the tokens that `text` stands for in the session.
        forced: of each of `token_ids`, whether the grammar left no choice about it; empty where that is not known.
        finish_reason: "stop" (end token, stop string, grammar complete), "length", or
            "timeout" (its `timeout` had passed).
        matched_stop: the stop string, pattern or token id that ended it; None for other ends and complete grammars.
        num_generated: new tokens, the stopping one included. num_forced: those of them that needed no model.
        prompt_tokens, cached_tokens: tokens before the call, and how many of them needed no computing.
        logprobs: of `token_ids`, when asked for. prompt_logprobs: of the prompt from logprob_start_len on.
        queue_seconds, first_token_seconds, total_seconds: since submission.
        written_ahead: an earlier call had written it already, and was counted for it.
    """

    text: str
    token_ids: tuple[int, ...]
    finish_reason: str
    forced: tuple[bool, ...] = ()
    matched_stop: str | int | None = None
    num_generated: int = 0
    num_forced: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    logprobs: tuple[TokenLogprob, ...] | None = None
    prompt_logprobs: tuple[TokenLogprob, ...] | None = None
    queue_seconds: float = 0.0
    first_token_seconds: float = 0.0
    total_seconds: float = 0.0
    written_ahead: bool = False


class Scores(Sendable, frozen=True, kw_only=True):
    """A finished score call: which choice was taken, and every choice's token log probabilities.

    Attributes:
        index: position of the chosen alternative.
        logprobs: per alternative, of each of its tokens after the common boundary.
        unconditional_logprobs: the same without the prompt, the first token's being 0; None where not asked for.
        token_ids: per alternative, those tokens.
        prompt_tokens, cached_tokens: as in Generation, summed over nothing but the common prompt.
        total_seconds: since submission.
    """

    index: int
    logprobs: tuple[tuple[float, ...], ...]
    token_ids: tuple[tuple[int, ...], ...]
    unconditional_logprobs: tuple[tuple[float, ...], ...] | None = None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    total_seconds: float = 0.0

    @property
    def basis(self) -> tuple[tuple[float, ...], ...]:
        """What the choice was made from: `logprobs`, less the unconditional ones where they were asked for."""
        if self.unconditional_logprobs is None:
            return self.logprobs
        return gains(self.logprobs, self.unconditional_logprobs)


def gains(
    logprobs: Sequence[Sequence[float]], unconditional: Sequence[Sequence[float]]
) -> tuple[tuple[float, ...], ...]:
    """By how much the prompt changes each token's log probability; what is impossible with it stays impossible."""
    return tuple(
        tuple(-math.inf if own == -math.inf else own - other for own, other in zip(row, without, strict=True))
        for row, without in zip(logprobs, unconditional, strict=True)
    )


@dataclass(eq=False, slots=True)
class Handle(Generic[T]):
    """One result in the making. The engine's thread feeds it; any number of readers wait in their own way.

    `result()` blocks; `await handle` suspends; iterating (plainly or with `async for`) yields chunks and ends, or
    raises, with the result; `subscribe` calls back from the engine's thread, so the callback must be quick.
    """

    _chunks: list[Chunk] = field(default_factory=list)
    _value: T | None = None
    _error: BaseException | None = None
    _ended: bool = False
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    _waiting: list[threading.Event] = field(default_factory=list, repr=False)  # of readers blocked for a chunk
    _joining: list[threading.Event] = field(default_factory=list, repr=False)  # of those blocked for the end
    _callbacks: list[Callable[[Chunk | None], None]] = field(default_factory=list, repr=False)
    _flush: Callable[[], None] | None = field(default=None, repr=False)

    def push(self, chunk: Chunk) -> None:
        """Engine side: one more chunk."""
        with self._lock:
            self._chunks.append(chunk)
            callbacks = tuple(self._callbacks)
            if self._waiting:
                self._wake()
        self._call(callbacks, chunk)

    def finish(self, value: T) -> None:
        """Engine side: the result is there. Ignored once ended."""
        self._end(value, None)

    def fail(self, error: BaseException) -> None:
        """Engine side: there will be no result. Ignored once ended."""
        self._end(None, error)

    def _end(self, value: T | None, error: BaseException | None) -> None:
        with self._lock:
            if self._ended:
                return
            self._value, self._error, self._ended = value, error, True
            self._flush = None  # a result holds nothing of what made it
            callbacks, self._callbacks = tuple(self._callbacks), []
            self._wake()
            joining, self._joining = self._joining, []
            for event in joining:
                event.set()
        self._call(callbacks, None)

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for event in waiting:
            event.set()

    @staticmethod
    def _call(callbacks: Sequence[Callable[[Chunk | None], None]], chunk: Chunk | None) -> None:
        for callback in callbacks:
            try:
                callback(chunk)
            except Exception:  # a reader's fault must not become the engine's
                log.exception("a callback on a result raised")

    def subscribe(self, callback: Callable[[Chunk | None], None]) -> None:
        """Calls back with every chunk, those already there included, and with None at the end."""
        with self._lock:
            for chunk in self._chunks:
                callback(chunk)
            if not self._ended:
                self._callbacks.append(callback)
                return
        callback(None)

    def _ask(self) -> None:
        flush = self._flush
        if flush is not None:
            flush()

    @property
    def chunks(self) -> tuple[Chunk, ...]:
        """Those so far."""
        return tuple(self._chunks)

    def done(self) -> bool:
        """Whether it ended, well or badly."""
        return self._ended

    def error(self) -> BaseException | None:
        """The exception it ended with, if any."""
        return self._error

    def result(self, timeout: float | None = None) -> T:
        """Waits at most `timeout` seconds for the result.

        Raises:
            TimeoutError: not there in time; the call itself goes on.
            Exception: whatever the call failed with.
        """
        if not self._ended:
            self._ask()
            self._wait(timeout)
        return self._outcome()

    def _wait(self, timeout: float | None) -> None:
        event = threading.Event()
        with self._lock:
            if self._ended:
                return
            self._joining.append(event)
        if event.wait(timeout):
            return
        with self._lock:
            if self._ended:
                return
            self._joining.remove(event)
        raise TimeoutError(f"no result within {timeout} s")

    def _outcome(self) -> T:
        if self._error is not None:
            raise anew(self._error).with_traceback(self._error.__traceback__)
        return self._value  # type: ignore[return-value]

    def __await__(self) -> Generator[Any, None, T]:
        self._ask()
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()

        def wake(chunk: Chunk | None) -> None:
            if chunk is None:
                with suppress(RuntimeError):  # the loop was closed: nobody waits any more
                    loop.call_soon_threadsafe(ended.set)

        self.subscribe(wake)
        yield from ended.wait().__await__()
        return self._outcome()

    def __iter__(self) -> Iterator[Chunk]:
        self._ask()
        position = 0
        while True:
            event = threading.Event()
            with self._lock:
                if not self._ended and len(self._chunks) == position:
                    self._waiting.append(event)
                else:
                    event.set()
            event.wait()
            with self._lock:
                fresh, ended = self._chunks[position:], self._ended
            position += len(fresh)
            yield from fresh
            if ended:
                self._outcome()
                return

    async def __aiter__(self) -> AsyncIterator[Chunk]:
        self._ask()
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[Chunk | None] = asyncio.Queue()

        def wake(chunk: Chunk | None) -> None:
            with suppress(RuntimeError):  # the loop was closed: nobody waits any more
                loop.call_soon_threadsafe(queue.put_nowait, chunk)

        self.subscribe(wake)
        while (chunk := await queue.get()) is not None:
            yield chunk
        self._outcome()
