"""Generations: the calls that one request makes, on sessions of their own that end whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from runtime.call import sample_params
from runtime.errors import ContextLengthExceeded
from runtime.server.feed import Arrival, Feed

if TYPE_CHECKING:
    from runtime.handle import Generation, Handle
    from runtime.sampling.params import SamplingParams
    from runtime.server.served_engine import ServedEngine, ServedSession
    from runtime.server.trail.account import Account

__all__ = ["Ask", "Generations", "encoded"]

LONG_TEXT = 8 << 10
"""Characters from which on a text is tokenized in a thread."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What one request wants.

    Attributes:
        prompts: token ids of each.
        params: sampling; `n` samples of every prompt.
        top_logprobs: as in `Session.generate`.
        logprob_start: as there.
        namespace: whose cache it is.
    """

    prompts: Sequence[Sequence[int]]
    params: SamplingParams
    top_logprobs: int | None = None
    logprob_start: int | None = None
    namespace: str = ""


class Generations:
    """Prompts times `n` generations, side by side; an async context manager that ends them.

    Those of the first prompt come first.
    """

    def __init__(self, engine: ServedEngine, ask: Ask) -> None:
        self._engine = engine
        self._ask = ask
        self._sessions: list[ServedSession] = []
        self._handles: list[Handle[Generation]] = []
        self._feed = Feed()
        self._pending: list[Arrival] = []

    async def __aenter__(self) -> Generations:
        try:
            for prompt in self._ask.prompts:
                self._begin(prompt)
        except BaseException:
            self.cancel()
            raise
        return self

    def _begin(self, prompt: Sequence[int]) -> None:
        if len(prompt) >= self._engine.context_length:
            raise ContextLengthExceeded(
                f"the prompt has {len(prompt)} tokens, which leaves no room in context_length="
                f"{self._engine.context_length}"
            )
        params = self._ask.params
        session = self._engine.open(namespace=self._ask.namespace)
        self._sessions.append(session)
        session.append(prompt)
        branches = [session, *(session.fork(params.n - 1) if params.n > 1 else ())]
        self._sessions.extend(branches[1:])
        for place, branch in enumerate(branches):
            handle = branch.generate(
                sample_params(params, place),
                top_logprobs=self._ask.top_logprobs,
                logprob_start=self._ask.logprob_start,
            )
            self._feed.follow(len(self._handles), handle)
            self._handles.append(handle)
            branch.close()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.cancel()

    def __len__(self) -> int:
        return len(self._handles)

    def cancel(self) -> None:
        """Ends what has not ended; whoever waits for it gets RequestCancelled."""
        for place, session in enumerate(self._sessions):
            if place >= len(self._handles):
                session.cancel()
                session.close()
            elif not self._handles[place].done():
                session.cancel()

    async def begun(self, seconds: float) -> None:
        """Waits until something has come, or for so long.

        Raises:
            Exception: whatever a generation failed with that soon.
        """
        try:
            async with asyncio.timeout(seconds):
                self._pending = await self._feed.next()
        except TimeoutError:
            return
        for place, chunk in self._pending:
            if chunk is None and (error := self._handles[place].error()) is not None:
                raise error

    async def arrivals(self) -> AsyncIterator[list[Arrival]]:
        """Chunks as they come, until all have ended.

        Raises:
            Exception: whatever the first generation to fail failed with.
        """
        left = len(self._handles)
        while left:
            arrived, self._pending = self._pending or await self._feed.next(), []
            for place, chunk in arrived:
                if chunk is None:
                    left -= 1
                    self.result(place)
            yield arrived

    def result(self, place: int) -> Generation:
        """The result of one that has ended; raises what it failed with."""
        return self._handles[place].result()

    def tell(self, account: Account) -> None:
        """Writes down what has come of them."""
        account.count(self._ask.params, self._handles)

    async def results(self) -> list[Generation]:
        """All results."""
        async for _ in self.arrivals():
            pass
        return [self.result(place) for place in range(len(self._handles))]


async def encoded(engine: ServedEngine, text: str) -> list[int]:
    """Token ids of a prompt; long ones are made in a thread, so that nobody else waits."""
    tokenizer = engine.tokenizer
    if len(text) > LONG_TEXT:
        return await asyncio.to_thread(tokenizer.encode, text, add_bos=tokenizer.adds_bos)
    return tokenizer.encode(text, add_bos=tokenizer.adds_bos)
