"""RunningState: the state of a program that is still running, as whoever started it sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from runtime.handle import Handle
from sgdsl.dropping import when_dropped
from sgdsl.outcome import Outcome
from sgdsl.run import Run
from sgdsl.state import ProgramState
from sgdsl.step import Step
from sgdsl.waiting import Deadline

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

    def _lookup(self, name: str, deadline: Deadline) -> Handle[Outcome]:
        """Waits until the program has bound the name, or has ended."""
        if name not in self._stream.variables:
            self._refuse_to_block(f"await s.get({name!r})")
        steps = self._stream.log.follow(deadline)
        while name not in self._stream.variables and next(steps, None) is not None:
            continue
        self._check_run()
        return self._found(name)

    async def _lookup_async(self, name: str) -> Handle[Outcome]:
        steps = aiter(self._stream.log)
        while name not in self._stream.variables and await anext(steps, None) is not None:
            continue
        self._check_run()
        return self._found(name)

    def _check_run(self) -> None:
        """Raises what the program failed with, which it may not have heard of yet: that nobody has seen it stays so."""
        failure = self._run.error if self._run.is_over else self._stream.error
        if failure is not None:
            raise failure

    def _steps(self) -> Iterator[Step]:
        yield from self._stream.log.follow(Deadline(None))
        self._check_run()

    async def _steps_async(self) -> AsyncIterator[Step]:
        async for step in self._stream.log:
            yield step
        self._check_run()

    def _whole_trail(self, deadline: Deadline) -> list[Step]:
        self._refuse_to_block("await s.wait() first")
        for _ in self._stream.log.follow(deadline):
            continue
        self._check_run()
        return super()._whole_trail(deadline)

    async def wait(self, timeout: float | None = None) -> None:
        """Suspends until the program has ended."""
        async with Deadline(timeout).awaited():
            async for _ in self._stream.log:
                pass
        self._check_run()
