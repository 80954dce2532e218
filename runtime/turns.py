"""Turns: sessions whose scripts go on, one from inside another, as deep as Python's stack allows and no deeper."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.session_state import SessionState

__all__ = ["Turns"]

MOST_NESTED = 50


class Turns:
    """A fork goes on as soon as it has begun, before the session that it left; forks of forks can be thousands deep.

    Args:
        advance: goes on with a session's script; it may ask for further turns meanwhile.
    """

    def __init__(self, advance: Callable[[SessionState], None]) -> None:
        self._advance = advance
        self._depth = 0
        self._deferred: deque[SessionState] = deque()

    def give(self, session: SessionState) -> None:
        """Goes on with a session now, or where that would nest too deep, when the others have had their turn."""
        if self._depth == MOST_NESTED:
            self._deferred.append(session)
            return
        self._depth += 1
        try:
            self._advance(session)
        finally:
            self._depth -= 1
        while self._depth == 0 and self._deferred:
            self.give(self._deferred.popleft())
