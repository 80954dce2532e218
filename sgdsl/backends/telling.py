"""Telling: what a router's session holds, told to a session of one of its backends in that backend's own way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sgdsl.backends.base import Backend, BackendSession
from sgdsl.chat import CHATML, Conversation

__all__ = ["Telling"]


class Telling:
    """A backend's session, and the text that is held back because more of the same unit may follow.

    Args:
        backend: whose session it is.
        session: who is told.
        writes_edges: the edges of chat messages come as such, and the session takes only text.
        conversation: how far it has come.
    """

    def __init__(
        self,
        backend: Backend,
        session: BackendSession,
        *,
        writes_edges: bool,
        conversation: Conversation | None = None,
    ) -> None:
        self.backend = backend
        self.session: Any = session
        self.conversation = conversation or Conversation(backend.chat_template or CHATML)
        self._held: list[str] = []
        self._writes_edges = writes_edges

    def tell(self, what: str, value: Any) -> None:
        """One piece: "append", "append_image", "begin_role" or "end_role" with its value; anything else as it is."""
        if self._writes_edges and what == "append" and isinstance(value, str):
            self._held.append(value)
        elif self._writes_edges and what in ("begin_role", "end_role"):
            self._write_edge(what, value)
        else:
            self.put()
            getattr(self.session, what)(value)

    def _write_edge(self, what: str, role: str) -> None:
        if what == "begin_role":
            self.put()  # a message's beginning is a unit with the text behind it, its end with the text before
            self.conversation, text = self.conversation.begin(role)
            self._held.append(text)
        else:
            self.conversation, text = self.conversation.end(role)
            self._held.append(text)
            self.put()

    def put(self) -> Any:
        """Tells what is held back; gives the session."""
        text = "".join(self._held)
        self._held.clear()
        if text:
            self.session.append(text)
        return self.session

    def fork(self, n: int) -> Sequence[Telling]:
        """As many forks of the session, each told for itself from here on."""
        forks = self.put().fork(n)
        return [
            Telling(self.backend, fork, writes_edges=self._writes_edges, conversation=self.conversation)
            for fork in forks
        ]
