"""Samples: generations on sessions that are there, and their answers in SGLang's shape."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from aiohttp import web

from runtime.call import Answer, Ask, Partial, cut_short, shaped
from runtime.errors import RequestCancelled
from runtime.handle import Chunk, Handle
from runtime.server.access.tenant import TENANT
from runtime.server.bodies import answer
from runtime.server.feed import Feed
from runtime.server.keys import CONFIG, RUNNING
from runtime.server.sse import Sse
from runtime.server.trail.account import ACCOUNT

if TYPE_CHECKING:
    from runtime.handle import Generation
    from runtime.sampling.params import SamplingParams
    from runtime.server.served_engine import ServedSession

__all__ = ["LONG_TEXT", "Sample", "answered", "append"]

LONG_TEXT = 8 << 10
"""Characters from which on a text is tokenized in a thread."""


async def append(session: ServedSession, content: str | Sequence[int]) -> None:
    """Appends; nobody else waits for a long text."""
    if isinstance(content, str) and len(content) > LONG_TEXT:
        await asyncio.to_thread(session.append, content)
    else:
        session.append(content)


@dataclass(frozen=True, slots=True)
class Sample:
    """One generation.

    Attributes:
        session: where; it ends with the generation where `ends` says so, and with whoever waits for it always.
        rid: its name.
    """

    session: ServedSession
    params: SamplingParams
    ask: Ask
    rid: str
    ends: bool = True


class _Running:
    """A sample that was handed over."""

    def __init__(self, sample: Sample) -> None:
        params, ask = sample.params, sample.ask
        self.sample = sample
        # Counting would keep the text before from being healed.
        self.count: Handle[int] | None = None if params.token_healing else sample.session.mark()
        self.handle: Handle[Generation] = sample.session.generate(
            replace(params, n=1), top_logprobs=ask.top, logprob_start=ask.start
        )
        self._partial = Partial(sample.rid, ask)
        if sample.ends:
            sample.session.close()
        else:
            sample.session.flush()

    def cancel(self) -> None:
        if not self.handle.done():
            self.sample.session.cancel()

    def so_far(self, chunks: Sequence[Chunk]) -> Answer:
        found = self._partial.grown(*chunks)
        if self.count is not None and self.count.done() and self.count.error() is None:
            found["meta_info"]["prompt_tokens"] = self.count.result()
        return found

    def whole(self) -> Answer:
        """The answer; of one that was cancelled, what there was by then.

        Raises:
            Exception: whatever else it failed with.
        """
        try:
            return shaped(self.handle.result(), self.sample.rid, self.sample.ask)
        except RequestCancelled as error:
            return cut_short(self.handle, error, self.sample.rid, self.sample.ask)


async def answered(
    request: web.Request, samples: Sequence[Sample], *, is_stream: bool, is_list: bool
) -> web.StreamResponse:
    """Runs the samples and answers with them. They end with the request, however it ends.

    Raises:
        Exception: whatever the first sample to fail failed with before anything was sent.
    """
    running: list[_Running] = []

    def cancel() -> None:
        for one in running:
            one.cancel()

    try:
        with _entered(request, samples, cancel):
            feed = Feed()
            for place, sample in enumerate(samples):
                running.append(_Running(sample))
                feed.follow(place, running[-1].handle)
            if is_stream:
                return await _streamed(request, feed, running, is_list)
            async for _ in _arrivals(feed, running):
                pass
            answers = [one.whole() for one in running]
            return answer(answers if is_list else answers[0])
    finally:
        request[ACCOUNT].count(samples[0].params, [one.handle for one in running])
        cancel()
        for sample in samples[len(running) :]:
            if sample.ends:
                sample.session.cancel()
                sample.session.close()


def _entered(request: web.Request, samples: Sequence[Sample], cancel: Any) -> Any:
    """One request in work, by the name that its samples begin with."""
    return request.app[RUNNING].entered(samples[0].rid, cancel, request[TENANT].name)


async def _arrivals(feed: Feed, running: Sequence[_Running]) -> AsyncIterator[dict[int, list[Chunk | None]]]:
    """By sample, what has come since; None at its end.

    Raises:
        Exception: whatever the first sample to fail failed with.
    """
    left = len(running)
    while left:
        arrived: dict[int, list[Chunk | None]] = {}
        for place, chunk in await feed.next():
            arrived.setdefault(place, []).append(chunk)
            if chunk is None:
                left -= 1
                error = running[place].handle.error()
                if error is not None and not isinstance(error, RequestCancelled):
                    running[place].handle.result()
        yield arrived


async def _streamed(request: web.Request, feed: Feed, running: Sequence[_Running], is_list: bool) -> web.StreamResponse:
    """Events with the text so far. What fails before the first has a status of its own, and later an event."""
    seconds = request.app[CONFIG].keep_alive_seconds
    arrivals = _arrivals(feed, running)
    first = asyncio.ensure_future(anext(arrivals))
    try:
        await asyncio.wait([first], timeout=seconds)
        if first.done():
            first.result()
        async with Sse(request, keep_alive_seconds=seconds) as sse:
            try:
                await sse.send(*_events(await first, running, is_list))
                async for arrived in arrivals:
                    await sse.send(*_events(arrived, running, is_list))
            except ConnectionError:
                raise
            except Exception as error:
                await sse.send(request.app[RUNNING].told(error).body())
            await sse.done()
    finally:
        first.cancel()
    return sse.response


def _events(arrived: dict[int, list[Chunk | None]], running: Sequence[_Running], is_list: bool) -> list[Answer]:
    found = []
    for place, chunks in arrived.items():
        one = running[place]
        event = one.whole() if chunks[-1] is None else one.so_far([chunk for chunk in chunks if chunk is not None])
        found.append({**event, "index": place} if is_list else event)
    return found
