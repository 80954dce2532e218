"""MockEngine: a `ServedEngine` without a model, that gives every running call a word at each of its steps."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from runtime.byte_tokenizer import byte_tokenizer
from runtime.choosing import Choosing, Logprobs
from runtime.handle import Chunk, Generation, Handle, Scores
from runtime.hint import Hint
from runtime.sampling.params import SamplingParams

if TYPE_CHECKING:
    from grammars import Spec
    from runtime.chat_template import ChatTemplate

__all__ = ["WORD", "MockEngine"]

WORD = " word"
MOST_CALLS = 4096
LAPS = 3
"""Turns of the loop that a step waits for: in the first a reader is woken, in the second it writes."""


class MockEngine:
    """Steps in a thread of its own, as what reads from an engine's process does; a context manager that ends it.

    The next step waits until the loop that reads has been round: no word catches up with the one before it, so that
    what is measured is an event, and a write, for every word.
    """

    model_name = "mock"
    chat_template: ChatTemplate | None = None
    context_length = 1 << 20
    failure: BaseException | None = None

    def __init__(self) -> None:
        self.tokenizer = byte_tokenizer()
        self._chunk = Chunk(WORD, (7,))
        self._running: list[_Call] = []
        self._changed = threading.Condition()
        self._is_over = False
        self._thread = threading.Thread(target=self._work, name="mock-engine", daemon=True)

    def __enter__(self) -> MockEngine:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._is_over = True
            self._changed.notify()
        self._thread.join()

    def begin(self, num_words: int) -> Handle[Generation]:
        """A call that ends after so many words."""
        call = _Call(num_words, asyncio.get_running_loop())
        with self._changed:
            self._running.append(call)
            self._changed.notify()
        return call.handle

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._running or self._is_over)
                if self._is_over:
                    return
                running = self._running
                self._running = []
            left = [call for call in running if call.goes_on(self._chunk)]
            with self._changed:
                self._running[:0] = left
            _settled(running[0].loop)

    def open(self, *, namespace: str = "", program: str = "") -> MockSession:
        """Opens an empty session."""
        return MockSession(self)

    def remember(self, texts: Iterable[str]) -> None:
        """Nothing to remember."""

    def compile_ahead(self, constraints: Iterable[Spec]) -> None:
        """Nothing to compile."""

    def stats(self) -> Handle[dict[str, Any]]:
        """It counts nothing."""
        return _done({})

    def server_info(self) -> Handle[dict[str, Any]]:
        """What clients of sessions are told of it, and no more."""
        settings = {"max_running_requests": {"became": MOST_CALLS}}
        return _done({"model": self.model_name, "weight_format": "none", "settings": settings})

    def flush_cache(self) -> Handle[int]:
        """It has none."""
        return _done(0)

    def cache(self, limit: int, namespace: str | None = None) -> Handle[dict[str, Any]]:
        """It has none."""
        return _done({})

    def unpin(self, pin: str) -> Handle[bool]:
        """It has no pins."""
        return _done(False)


class MockSession:
    """A session of it: it generates, and does nothing else."""

    def __init__(self, engine: MockEngine) -> None:
        self._engine = engine

    def append(self, content: str | Sequence[int]) -> None:
        """Makes no difference to what is generated."""

    def generate(
        self,
        params: SamplingParams | None = None,
        *,
        top_logprobs: int | None = None,
        logprob_start: int | None = None,
    ) -> Handle[Generation]:
        """As many words as are allowed."""
        if params is None or params.max_new_tokens is None:
            raise ValueError("max_new_tokens is needed: a mock engine has no other end")
        return self._engine.begin(params.max_new_tokens)

    def fork(self, n: int) -> Sequence[MockSession]:
        """As good as itself."""
        return [self] * n

    def cancel(self) -> None:
        """A call goes on to its end."""

    def close(self) -> None:
        """It holds nothing."""

    def score(
        self,
        choices: Sequence[str],
        choose: Choosing | Callable[[Logprobs], int],
        *,
        unconditional: bool = False,
        priority: int = 0,
    ) -> Handle[Scores]:
        """Not here."""
        raise NotImplementedError("a mock engine scores nothing")

    def concat(self, sessions: Sequence[Any]) -> Handle[int]:
        """Not here."""
        raise NotImplementedError("a mock engine holds no tokens")

    def tokens(self) -> Handle[list[tuple[int, str]]]:
        """None."""
        return _done([])

    def mark(self) -> Handle[int]:
        """None."""
        return _done(0)

    def truncate(self, num_tokens: int) -> None:
        """There is nothing to drop."""

    def hint(self, hint: Hint) -> None:
        """Makes no difference."""

    def pin(self, ttl_seconds: float) -> Handle[str]:
        """There is nothing to keep."""
        return _done("")

    def flush(self) -> None:
        """Nothing is held back."""


class _Call:
    """A call in the making."""

    def __init__(self, num_words: int, loop: asyncio.AbstractEventLoop) -> None:
        self.handle: Handle[Generation] = Handle()
        self.loop = loop
        self._num_words = num_words
        self._num_left = num_words

    def goes_on(self, chunk: Chunk) -> bool:
        """A word more, or the end."""
        if self._num_left:
            self._num_left -= 1
            self.handle.push(chunk)
            return True
        self.handle.finish(
            Generation(
                text=chunk.text * self._num_words,
                token_ids=chunk.token_ids * self._num_words,
                finish_reason="length",
                num_generated=self._num_words,
            )
        )
        return False


def _settled(loop: asyncio.AbstractEventLoop) -> None:
    """Waits until the loop has been round."""
    there = threading.Event()

    def lap(left: int) -> None:
        if left:
            loop.call_soon(lap, left - 1)
        else:
            there.set()

    loop.call_soon_threadsafe(lap, LAPS)
    there.wait()


def _done(value: Any) -> Handle[Any]:
    handle: Handle[Any] = Handle()
    handle.finish(value)
    return handle
