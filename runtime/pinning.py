"""Pinning: the operation of a session's script that has its prefix stay in the cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from typing_extensions import override

from runtime.errors import InvalidParameter
from runtime.handle import Handle
from runtime.script import Op

if TYPE_CHECKING:
    from runtime.core import EngineCore
    from runtime.session_state import SessionState

__all__ = ["Pin"]


@dataclass(eq=False, slots=True)
class Pin(Op):
    """Pins the session's tokens, whole pages of them, once their KV is there; what is cached is not computed again.

    Args:
        handle: who waits for the pin's name.
        ttl_seconds: for how long.
    """

    handle: Handle[str]
    ttl_seconds: float

    @override
    def begin(self, core: EngineCore, session: SessionState) -> None:
        core.ensure_begun(session)
        page_size = core.cache.page_size
        if len(session.tokens) < page_size:
            raise InvalidParameter("prompt", f"{len(session.tokens)} tokens", f"at least a page of {page_size} to pin")
        core.prefill(session, lambda _: self._pin(core, session), self.abandon)

    def _pin(self, core: EngineCore, session: SessionState) -> None:
        sequence = session.sequence
        if sequence is not None:
            core.cache.commit(sequence, session.tokens)
            name = core.pins.add(sequence.keyed(session.tokens), self.ttl_seconds, session.namespace)
            self.handle.finish(name)

    @override
    def abandon(self, error: BaseException) -> None:
        self.handle.fail(error)
