"""RunningState: the state of a program that is still running, as whoever started it sees it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

from runtime.handle import Handle
from sgdsl.dropping import when_dropped
from sgdsl.outcome import Outcome
from sgdsl.run import Run
from sgdsl.state import ProgramState
from sgdsl.step import Step

__all__ = ["RunningState"]


class RunningState(ProgramState):
    """Reads wait for the program to come that far; texts, messages and iterations go to its end.

    Dropping it cancels the program.

    Args:
        run: the program's run.
        awaited: it was started from an event loop, which reads may not block.
    """

    def __init__(self, run: Run, *, awaited: bool = False) -> None:
        super().__init__(run.main)
        self._run = run
        self._awaited = awaited
        when_dropped(self, run.loop, run, Run.cancel)

    def _is_awaited(self) -> bool:
        return self._awaited

    def _lookup(self, name: str, timeout: float | None = None) -> Handle[Outcome]:
        """Waits until the program has bound the name, or has ended."""
        if name not in self._stream.variables:
            self._refuse_to_block(f"await s.get({name!r})")
        steps = self._stream.log.follow(timeout)
        while name not in self._stream.variables and next(steps, None) is not None:
            continue
        self._check_run()
        return super()._lookup(name)

    async def _lookup_async(self, name: str) -> Handle[Outcome]:
        steps = aiter(self._stream.log)
        while name not in self._stream.variables and await anext(steps, None) is not None:
            continue
        self._check_run()
        return super()._lookup(name)

    def _check_run(self) -> None:
        if self._run.is_over and self._run.error is not None:
            raise self._run.error

    def _steps(self) -> Iterator[Step]:
        yield from self._stream.log.follow()
        self._check_run()

    async def _steps_async(self) -> AsyncIterator[Step]:
        async for step in self._stream.log:
            yield step
        self._check_run()

    def _whole_trail(self, timeout: float | None) -> list[Step]:
        self._refuse_to_block("await s.wait() first")
        started = time.monotonic()
        for _ in self._stream.log.follow(timeout):
            continue
        self._check_run()
        return super()._whole_trail(None if timeout is None else timeout - (time.monotonic() - started))

    async def wait(self, timeout: float | None = None) -> None:
        """Suspends until the program has ended."""
        async with asyncio.timeout(timeout):
            async for _ in self._stream.log:
                pass
        self._check_run()
