"""Readiness: `/health_generate`: whether the engine makes tokens."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from runtime.errors import EngineClosed
from runtime.handle import Generation, Handle
from runtime.sampling.params import SamplingParams
from runtime.server.bodies import answer
from runtime.server.keys import RUNNING
from runtime.server.served_engine import ServedEngine

__all__ = ["READINESS", "Readiness", "health_generate"]

RECENT_SECONDS = 10.0
LIMIT_SECONDS = 20.0
POLL_SECONDS = 0.25


class Readiness:
    """Remembers when the engine was seen to make a token last; asks for one where that was a while ago.

    However many ask at once, one token is made.

    Args:
        engine: what is asked.
        recent_seconds: a token that is younger is proof enough.
        limit_seconds: an engine that makes none for so long is not ready.
    """

    def __init__(
        self,
        engine: ServedEngine,
        recent_seconds: float = RECENT_SECONDS,
        limit_seconds: float = LIMIT_SECONDS,
    ) -> None:
        self._engine = engine
        self._recent_seconds = recent_seconds
        self._limit_seconds = limit_seconds
        self._proven = float("-inf")
        self._asking: asyncio.Task[None] | None = None

    async def check(self) -> None:
        """Returns when the engine is ready.

        Raises:
            EngineClosed: it is not.
        """
        failure = self._engine.failure
        if failure is not None:
            raise EngineClosed(f"the engine died: {failure}") from failure
        now = asyncio.get_running_loop().time()
        if now - self._proven < self._recent_seconds:
            return
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._prove())
        await asyncio.shield(self._asking)

    async def _prove(self) -> None:
        try:
            async with asyncio.timeout(self._limit_seconds):  # an engine that hangs does not even count
                await self._made_one(await self._num_tokens())
        except TimeoutError:
            raise EngineClosed(f"the engine has made no token for {self._limit_seconds:g} s") from None
        self._proven = asyncio.get_running_loop().time()

    async def _made_one(self, before: int) -> None:
        session = self._engine.open(namespace="health")
        session.append([self._engine.tokenizer.eos_token_ids[0]])
        handle = session.generate(SamplingParams(max_new_tokens=1, temperature=0.0, ignore_eos=True))
        session.close()
        try:
            await self._token(handle, before)
        finally:
            if not handle.done():
                session.cancel()

    async def _token(self, handle: Handle[Generation], before: int) -> None:
        """Waits for the token, or for anybody else's: there may be many before it."""
        waiting = asyncio.ensure_future(_ended(handle))
        try:
            while True:
                done, _ = await asyncio.wait([waiting], timeout=POLL_SECONDS)
                if done:
                    waiting.result()
                    return
                if await self._num_tokens() > before:
                    return
        finally:
            waiting.cancel()

    async def _num_tokens(self) -> int:
        stats: dict[str, Any] = await self._engine.stats()
        return int(stats["generated_tokens"])


async def _ended(handle: Handle[Generation]) -> Generation:
    return await handle


READINESS: web.AppKey[Readiness] = web.AppKey("readiness", Readiness)


async def health_generate(request: web.Request) -> web.Response:
    """200 where the engine has made a token lately, or makes one now; 503 otherwise."""
    if request.app[RUNNING].is_draining:
        return web.json_response({"status": "stopping"}, status=503)
    await request.app[READINESS].check()
    return answer({"status": "ok"})
