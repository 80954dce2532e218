"""Meeting: streams that wait for each other in the midst of their instructions, for one to take from the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sgdsl.outcome import Outcome

if TYPE_CHECKING:
    from sgdsl.step import Step
    from sgdsl.stream import Stream

__all__ = ["Meeting"]


class Meeting:
    """A stream and some of its forks, each standing at its own step; nobody goes on before all have come.

    Args:
        parent: the stream that takes, at `step`.
        forks: those it takes from, each at the step of the same place in `steps`.
    """

    def __init__(self, parent: Stream, step: Step, forks: Sequence[Stream], steps: Sequence[Step]) -> None:
        self.parent = parent
        self.step = step
        self.forks = tuple(forks)
        self._steps = tuple(steps)
        self._missing = 1 + len(self.forks)

    def arrive(self, stream: Stream) -> bool:
        """One of them has come, and stands still; True when it was the last."""
        stream.waiting = True
        self._missing -= 1
        return self._missing == 0

    def end(self) -> None:
        """They go on, with the run's next look at who is ready."""
        run = self.parent.run
        for fork, step in zip(self.forks, self._steps, strict=True):
            fork.unfinished.pop(step, None)
            if step.outcome is not None:
                step.outcome.finish(Outcome(None))
        for stream in (self.parent, *self.forks):
            stream.waiting = False
            run.ready[stream] = None
        run.loop.post(run.flush)
