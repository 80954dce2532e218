"""Held: the engine process's hold on a session, for whoever holds it in the server's process."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING

from typing_extensions import override

from runtime.script import Close, Op

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.core import EngineCore
    from runtime.session_state import SessionState

__all__ = ["Ending", "Held", "Refused"]


class Held:
    """Stands for the session there: operations that need it alive hold on to this, and it ends with the last of them.

    Args:
        core: of the engine.
        state: the session here.
    """

    def __init__(self, core: EngineCore, state: SessionState) -> None:
        self.state = state
        weakref.finalize(self, core.leave, state).atexit = False


@dataclass(eq=False, slots=True)
class Ending(Close):
    """Ends the session; then nobody can name it any more.

    Args:
        forget: takes its number away.
    """

    forget: Callable[[], object]

    @override
    def begin(self, core: EngineCore, session: SessionState) -> None:
        Close.begin(self, core, session)
        self.forget()

    @override
    def abandon(self, error: BaseException) -> None:
        self.forget()


@dataclass(eq=False, slots=True)
class Refused(Op):
    """An operation that cannot be made of what was sent: it fails when its turn comes.

    Args:
        error: why.
        tell: tells who waits for it.
    """

    error: Exception
    tell: Callable[[BaseException], None]

    @override
    def begin(self, core: EngineCore, session: SessionState) -> None:
        raise self.error

    @override
    def abandon(self, error: BaseException) -> None:
        self.tell(error)
