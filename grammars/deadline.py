"""When work on a grammar is to end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from grammars.errors import GrammarCancelled, GrammarTimeout

__all__ = ["Deadline"]


class Deadline:
    """A time limit, which is over early when nobody wants the result any more.

    Args:
        seconds: from now on.
        is_cancelled: says that nobody does.
        clock: what the seconds are told by.
        most_at_once: seconds that count at most between two looks at the clock. What takes longer than any piece of
            the work can is a pause of the whole process, a garbage collection for one, and none of the work's doing.
    """

    __slots__ = ("_clock", "_is_cancelled", "_left", "_most_at_once", "_seen")

    def __init__(
        self,
        seconds: float,
        *,
        is_cancelled: Callable[[], bool] | None = None,
        clock: Callable[[], float] = time.monotonic,
        most_at_once: float = math.inf,
    ) -> None:
        self._clock = clock
        self._left = seconds
        self._seen = clock()
        self._most_at_once = most_at_once
        self._is_cancelled = is_cancelled

    @property
    def left(self) -> float:
        """Seconds until it has passed; negative after that."""
        now = self._clock()
        self._left -= min(now - self._seen, self._most_at_once)
        self._seen = now
        return self._left

    def check(self, message: str) -> None:
        """Returns while there is time.

        Raises:
            GrammarTimeout: with that message, when it has passed.
            GrammarCancelled: nobody wants the result any more.
        """
        if self._is_cancelled is not None and self._is_cancelled():
            raise GrammarCancelled("compiling was stopped: nobody waits for it")
        if self.left < 0:
            raise GrammarTimeout(message)
