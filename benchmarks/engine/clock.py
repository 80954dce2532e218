"""Clock: how much of a stretch of time was spent in which functions, those that they call taken off."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

__all__ = ["Clock"]


class Clock:
    """Wraps functions while it is entered, and adds up what is spent in them.

    Args:
        now: the clock, in seconds.

    Attributes:
        spent: seconds for each part, without what was spent in parts inside of it.
    """

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now
        self.spent: dict[str, float] = {}
        self._inside: list[float] = []
        self._wrapped: list[tuple[Any, str, Any, bool]] = []

    def watch(self, owner: Any, name: str, part: str) -> None:
        """From now on `owner.name` is timed as `part`. The owner is an object, a class or a module."""
        function, is_own = getattr(owner, name), name in vars(owner)
        self._wrapped.append((owner, name, vars(owner).get(name), is_own))
        self.spent[part] = 0.0
        setattr(owner, name, self._timed(function, part))

    def _timed(self, function: Callable[..., Any], part: str) -> Callable[..., Any]:
        spent, inside, now = self.spent, self._inside, self._now

        def timed(*arguments: Any, **named: Any) -> Any:
            begin = now()
            inside.append(0.0)
            try:
                return function(*arguments, **named)
            finally:
                whole = now() - begin
                spent[part] += whole - inside.pop()
                if inside:
                    inside[-1] += whole

        return timed

    def reset(self) -> None:
        """Forgets what was spent."""
        for part in self.spent:
            self.spent[part] = 0.0

    def __enter__(self) -> Clock:
        return self

    def __exit__(self, *_: object) -> None:
        for owner, name, before, is_own in reversed(self._wrapped):
            if is_own:
                setattr(owner, name, before)
            else:
                delattr(owner, name)
        self._wrapped.clear()
