"""When work on a grammar is to end."""

from __future__ import annotations

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
    """

    __slots__ = ("_clock", "_end", "_is_cancelled")

    def __init__(
        self,
        seconds: float,
        *,
        is_cancelled: Callable[[], bool] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._end = clock() + seconds
        self._is_cancelled = is_cancelled

    @property
    def left(self) -> float:
        """Seconds until it has passed; negative after that."""
        return self._end - self._clock()

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
