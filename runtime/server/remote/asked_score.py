"""AskedScore: a score whose method only the server's process knows: it is told the rows, and says which to take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from typing_extensions import override

from runtime.errors import RequestCancelled
from runtime.handle import gains
from runtime.scoring import Ids, Rows, Score

if TYPE_CHECKING:
    from runtime.core import EngineCore
    from runtime.session_state import SessionState

__all__ = ["AskedScore"]


@dataclass(eq=False, slots=True)
class AskedScore(Score):
    """The session waits until `choose_now` is called, in the engine's thread.

    Args:
        ask: tells the rows.
    """

    ask: Callable[[Rows], None] = lambda rows: None
    _core: EngineCore | None = None
    _session: SessionState | None = None
    _go_on: Callable[[int], None] = field(default=lambda index: None)

    @override
    def _decide(
        self, core: EngineCore, session: SessionState, scores: Rows, token_ids: Ids, without: Rows | None
    ) -> None:
        self._core, self._session = core, session
        self._go_on = partial(self._taken, core, session, scores, token_ids, without)
        session.is_suspended, session.awaiting = True, self
        self.ask(scores if without is None else gains(scores, without))

    def choose_now(self, index: int | None) -> None:
        """Goes on with that choice; None says that there is none. Nothing happens where the session has failed."""
        core, session, self._core, self._session = self._core, self._session, None, None
        if core is None or session is None:
            return
        session.is_suspended, session.awaiting = False, None
        try:
            if index is None:
                raise RequestCancelled("no choice was made")
            self._go_on(index)
        except Exception as error:
            self._failed(core, error)
            session.fail(error)
        core.advance(session)

    def _taken(
        self,
        core: EngineCore,
        session: SessionState,
        scores: Rows,
        token_ids: Ids,
        without: Rows | None,
        index: int,
    ) -> None:
        Score._take(self, core, session, index, scores, token_ids, without)

    @override
    def abandon(self, error: BaseException) -> None:
        core, session, self._core, self._session = self._core, self._session, None, None
        self.handle.fail(error)
        if core is not None and session is not None:  # cancelled while the choice was being made
            session.is_suspended = False
            self._drop_branches(core)
