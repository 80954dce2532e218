"""Greeting: what the server says of itself to whoever connects."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from typing import Any, get_args

from grammars.spec import Spec
from runtime.sampling.params import SamplingParams
from runtime.server.served_engine import ServedEngine
from runtime.wire import messages as wire

__all__ = ["Greeting"]

log = logging.getLogger("sgdsl.server")

PROBE = "The quick brown fox jumps over the lazy dog; 7 * 8 = 56, été, 日本."
PREPARE_SECONDS = 60.0
MOST_CONCURRENCY = 64
"""A batch of programs that fork fills the engine with fewer threads at the client than it runs requests."""


class Greeting:
    """Made once: when the server comes up, else by the first who asks, who may wait behind everybody's requests.

    Args:
        engine: what is told of.
        name: what clients call the model.
    """

    def __init__(self, engine: ServedEngine, name: str) -> None:
        self._engine = engine
        self._name = name
        self._lock = asyncio.Lock()
        self._hello: wire.Hello | None = None

    async def prepare(self) -> None:
        """Has it ready before anybody connects; where that cannot be, the log says so and the first who asks waits."""
        try:
            async with asyncio.timeout(PREPARE_SECONDS):
                await self.hello()
        except Exception as error:  # an engine that fails now may serve again soon
            why = f"{type(error).__name__}: {error}" if str(error) else f"none within {PREPARE_SECONDS:g} s"
            log.warning("what clients of sessions are greeted with is not ready: %s", why)

    async def hello(self) -> wire.Hello:
        """The first message of every connection.

        Raises:
            EngineError: the engine does not answer.
        """
        async with self._lock:
            if self._hello is None:
                self._hello = await self._made()
            return self._hello

    async def _made(self) -> wire.Hello:
        engine = self._engine
        info = await engine.server_info()
        template = engine.chat_template
        return wire.Hello(
            model=self._name,
            fingerprint=await self._fingerprint(info),
            constraints=tuple(sorted(one.__name__ for one in get_args(Spec))),
            score=True,
            unconditional=True,
            tokens=True,
            priority=True,
            concat=True,
            hints=True,
            tokenizes=True,
            compiles_ahead=True,
            concurrency=min(MOST_CONCURRENCY, int(info["settings"]["max_running_requests"]["became"])),
            context_length=engine.context_length,
            chat_template=None if template is None else wire.Template(template.source, engine.tokenizer.token_names),
        )

    async def _fingerprint(self, info: dict[str, Any]) -> str:
        """By what the model makes of a short text; the engine in the client's process goes by the same."""
        session = self._engine.open(namespace="fingerprint")
        try:
            session.append(PROBE)
            params = SamplingParams(max_new_tokens=8, temperature=0.0, ignore_eos=True)
            found = await session.generate(params, top_logprobs=8, logprob_start=0)
        finally:
            session.close()
        entries = (*(found.prompt_logprobs or ()), *(found.logprobs or ()))
        likeliest = [[token for _, token in one.top] for one in entries]
        told = [info["model"], info["weight_format"], likeliest]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()
