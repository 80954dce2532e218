"""Load: sends scripts to a server, at a rate or so many at once, and gathers the samples."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from sgdsl.cli.bench.sample import NO_CONNECTION, Sample
from sgdsl.cli.bench.workload import Script

__all__ = ["Load", "Plan"]

GIVES_UP_AFTER = 10
"""So many refused connections in a row, and the server is taken to be gone."""


class Asks(Protocol):
    """A server; see `sgdsl.cli.bench.client`."""

    async def ask(self, path: str, body: dict[str, object]) -> Sample:
        """Sends one request."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is sent, and how.

    Attributes:
        concurrency: scripts at once, the next begun when one ends; None with a rate.
        rate: scripts that begin each second, at random (a Poisson process), however many are under way; else None.
        num_scripts: scripts in all; None for no limit.
        seconds: after which none begins; None for no limit.
    """

    concurrency: int | None
    rate: float | None
    num_scripts: int | None
    seconds: float | None


class Load:
    """One run of a plan.

    Args:
        client: the server.
        scripts: what is asked.
        plan: how.
        seed: of the random arrivals.
        tell: told of each sample when it is there.
    """

    def __init__(
        self, client: Asks, scripts: Iterator[Script], plan: Plan, seed: int, tell: Callable[[Sample], None]
    ) -> None:
        self._client = client
        self._scripts = scripts
        self._plan = plan
        self._rng = random.Random(seed)
        self._tell = tell
        self._num_begun = 0
        self._num_refused = 0  # connections, in a row
        self.samples: list[Sample] = []

    @property
    def has_given_up(self) -> bool:
        """Whether it ended early because the server is gone."""
        return self._num_refused >= GIVES_UP_AFTER

    async def run(self) -> list[Sample]:
        """Sends it all and waits for the answers."""
        self._end = None if self._plan.seconds is None else time.monotonic() + self._plan.seconds
        if self._plan.rate is not None:
            await self._arrive(self._plan.rate)
        else:
            await asyncio.gather(*(self._loop() for _ in range(self._plan.concurrency or 1)))
        return self.samples

    async def _loop(self) -> None:
        while (script := self._next()) is not None:
            await self._play(script)

    async def _arrive(self, rate: float) -> None:
        arrival = time.monotonic()
        async with asyncio.TaskGroup() as group:
            while (script := self._next()) is not None:
                group.create_task(self._play(script))
                # Counted from the last arrival rather than from now, so that a late wake-up does not lower the rate.
                arrival += self._rng.expovariate(rate)
                wait = arrival - time.monotonic()
                await asyncio.sleep(max(0.0, wait if self._end is None else min(wait, self._end - time.monotonic())))

    def _next(self) -> Script | None:
        plan = self._plan
        if self.has_given_up or (plan.num_scripts is not None and self._num_begun >= plan.num_scripts):
            return None
        if self._end is not None and time.monotonic() >= self._end:
            return None
        self._num_begun += 1
        return next(self._scripts)

    async def _play(self, script: Script) -> None:
        answers: list[str] = []
        for _ in script.turns:
            sample = await self._client.ask(script.path, script.request(answers))
            self.samples.append(sample)
            self._num_refused = self._num_refused + 1 if sample.error == NO_CONNECTION else 0
            self._tell(sample)
            if sample.error is not None or self.has_given_up:
                return
            answers.append(sample.text)
