"""Stepping: an engine without its thread, whose steps are taken, and timed, one by one."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Sequence
from typing import Any

from runtime.config import EngineConfig
from runtime.handle import Generation, Handle
from runtime.parallel.team import team_of
from runtime.sampling.params import SamplingParams
from runtime.script import Append, Generate
from runtime.session_state import SessionState
from runtime.startup import start

__all__ = ["Request", "Stepping", "prompt"]

FIRST_WORD, LAST_WORD = 300, 20_000
"""Prompts are drawn from these tokens, which are words or parts of words in most vocabularies."""


class Request:
    """One prompt and what becomes of it.

    Attributes:
        session: whose tokens it works on.
        handle: its result.
    """

    def __init__(self) -> None:
        self.session = SessionState("", "")
        self.handle: Handle[Generation] = Handle()

    @property
    def num_new(self) -> int:
        """Tokens generated so far."""
        return sum(len(chunk.token_ids) for chunk in self.handle.chunks)


class Stepping:
    """Drives one engine's core from the calling thread: no thread is woken, nobody reads along.

    Args:
        model: as the engine takes it.
        weight_format: likewise.
        settings: further settings of the engine.

    Raises:
        ConfigError, ModelLoadError: as the engine raises them.
    """

    def __init__(self, model: str, weight_format: str, **settings: Any) -> None:
        config = EngineConfig.of({"model": model, "weight_format": weight_format, **settings})
        assembled = start(config)
        self.runner, self.core = assembled.runner, assembled.core
        self.described = {"model": assembled.model_name, **self.runner.describe()}
        self.team = team_of(int(self.described["threads"]))

    def ask(self, prompts: Sequence[Sequence[int]], new_tokens: int) -> list[Request]:
        """Queues a greedy request for each prompt, of exactly so many tokens."""
        params = SamplingParams(temperature=0.0, max_new_tokens=new_tokens, ignore_eos=True)
        requests = []
        for prompt in prompts:
            one = Request()
            self.core.sessions.take_up(one.session)
            self.core.enqueue(one.session, [Append(list(prompt)), Generate(params, one.handle)])
            requests.append(one)
        return requests

    def drop(self, requests: Sequence[Request]) -> None:
        """Ends requests, whether or not they are done, and their sessions; their KV stays in the cache."""
        for one in requests:
            self.core.cancel(one.session)
            self.core.sessions.drop(one.session)

    def run_out(self, requests: Sequence[Request]) -> list[tuple[int, ...]]:
        """Steps until all are done.

        Returns:
            The new tokens of each.

        Raises:
            RuntimeError: the engine stands still. Whatever a request failed with.
        """
        while not all(one.handle.done() for one in requests):
            if not self.core.step():
                raise RuntimeError("nothing is left to do, and not all requests are done")
        return [one.handle.result().token_ids for one in requests]

    def begin(self, prompts: Sequence[Sequence[int]], new_tokens: int) -> list[Request]:
        """Queues requests and steps until each of them has a token: from then on they decode together."""
        requests = self.ask(prompts, new_tokens)
        while not all(one.handle.chunks for one in requests):
            self.core.step()
        return requests

    def seconds_of(self, steps: int) -> float:
        """Wall time of so many steps together."""
        begin = time.perf_counter()
        for _ in range(steps):
            self.core.step()
        return time.perf_counter() - begin

    def step_ms(self, steps: int) -> float:
        """Median milliseconds of so many steps."""
        return 1e3 * statistics.median(self.seconds_of(1) for _ in range(steps))


def prompt(length: int, seed: str) -> list[int]:
    """So many token ids, drawn with a seed."""
    return random.Random(seed).choices(range(FIRST_WORD, LAST_WORD), k=length)
