"""Router: several backends as one. Each session goes to the one that is chosen for its first call."""

from __future__ import annotations

import json
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, cast

from sgdsl.backends.base import Backend, BackendSession, Capabilities
from sgdsl.backends.fingerprint import fingerprint_of
from sgdsl.backends.routed_call import RoutedCall, can_do
from sgdsl.backends.router_session import RouterSession
from sgdsl.backends.worker import Worker
from sgdsl.errors import BackendCapabilityError, InvalidArgument
from sgdsl.process import as_backend

if TYPE_CHECKING:
    from grammars.spec import Spec
    from sgdsl.backends.base import GrammarBackend
    from sgdsl.chat import ChatTemplate

__all__ = ["Router"]

Chooser = Callable[[RoutedCall, Sequence[Backend]], Any]


class Router:
    """Picks a backend for each session when its first gen, select, checkpoint or reading of tokens comes.

    A session stays where it is, because its KV is there, as long as that backend can do what is asked. A call it
    cannot do moves the session to one that can: what the session holds is told there again as text, once the calls
    before have ended. `num_moves` counts that. Forks that were made before anything was asked choose for themselves.
    Where no backend can do a call it fails with a `BackendCapabilityError`.

    What all of them together can do is what the router says it can, save concatenation. Chat messages are written for
    each backend as its own template has it where one of the backends takes messages as such; otherwise the text of
    their edges is the first backend's, so all must have the same template. `s.text()` goes by the first backend's.

    Args:
        backends: backends or Engines, the preferred one first. Whoever made them closes them.
        choose: the call and the backends that can do it → one of them. Called with the program's lock held, so it has
            to be quick. Left out: the first.

    Attributes:
        num_sessions: per position in `backends`, how many sessions went there, moves included.
        num_moves: sessions that moved.

    Raises:
        InvalidArgument: there is no backend, or their chat templates differ where one text must do for all.
    """

    name = "router"

    def __init__(self, backends: Sequence[Any], choose: Chooser | None = None) -> None:
        if not isinstance(backends, Sequence) or not backends:
            raise InvalidArgument(f"backends={backends!r} is not allowed: a list of at least one backend")
        if choose is not None and not callable(choose):
            raise InvalidArgument(f"choose={choose!r} is not allowed: a function of a call and backends")
        self.backends = tuple(as_backend(backend) for backend in backends)
        self.choose = choose
        self.num_moves = 0
        self.num_sessions: Counter[int] = Counter()
        self.open_sessions: weakref.WeakSet[RouterSession] = weakref.WeakSet()
        self.worker = Worker("sgdsl-router")
        self._lock = threading.Lock()
        if not self.takes_roles and len({_source(backend.chat_template) for backend in self.backends}) > 1:
            raise InvalidArgument("backends: their chat templates differ, and the text of messages is one for all")

    @property
    def fingerprint(self) -> str:
        """Those of its backends together: any of them may answer."""
        return json.dumps([fingerprint_of(backend) for backend in self.backends])

    @property
    def takes_roles(self) -> bool:
        """Whether its sessions are told where messages begin and end, rather than the text of that."""
        return any(backend.capabilities.roles for backend in self.backends)

    @property
    def chat_template(self) -> ChatTemplate | None:
        """The first backend's."""
        return self.backends[0].chat_template

    @property
    def capabilities(self) -> Capabilities:
        """What one of the backends can do, save concatenation; their concurrency together."""
        each = [backend.capabilities for backend in self.backends]
        merged: dict[str, Any] = {}
        for field in fields(Capabilities):
            values = [getattr(one, field.name) for one in each]
            if field.name == "context_length":
                merged[field.name] = None if None in values else max(values)
            elif field.name == "concurrency":
                merged[field.name] = sum(values)
            elif isinstance(values[0], frozenset):
                merged[field.name] = frozenset().union(*values)
            else:
                merged[field.name] = any(values)
        return Capabilities(**{**merged, "concat": False, "tokenizes": False})

    def open(self, *, namespace: str = "", program: str = "") -> BackendSession:
        """A new, empty session; no backend is asked yet."""
        return RouterSession(self, namespace, program)

    def pick(self, call: RoutedCall, now: Backend | None) -> Backend:
        """The backend for a call: the present one where it can do it, else the chosen one of those that can.

        Raises:
            BackendCapabilityError: none can.
            InvalidArgument: `choose` raised, or returned none of them.
        """
        if now is not None and can_do(now, call):
            return now
        able = [backend for backend in self.backends if can_do(backend, call)]
        if not able:
            raise BackendCapabilityError(call.what(), self.name, "none of its backends can")
        if self.choose is None:
            return able[0]
        try:
            chosen = self.choose(call, able)
        except Exception as error:
            raise InvalidArgument(f"choose failed: {type(error).__name__}: {error}") from error
        for backend in able:
            if chosen is backend or (chosen is not None and chosen is getattr(backend, "engine", None)):
                return backend
        names = ", ".join(backend.name for backend in able)
        raise InvalidArgument(f"choose returned {chosen!r}, which is none of the backends it was given ({names})")

    def count(self, backend: Backend, *, moved: bool) -> None:
        """A session went to a backend."""
        with self._lock:
            self.num_sessions[self.backends.index(backend)] += 1
            self.num_moves += moved

    def token_text(self, token: int) -> str:
        """The text of one token.

        Raises:
            BackendCapabilityError: several backends have tokens, so nobody knows whose this is.
        """
        having = [backend for backend in self.backends if backend.capabilities.tokens]
        if len(having) != 1:
            raise BackendCapabilityError("the text of a token", self.name, f"{len(having)} of its backends have tokens")
        return having[0].token_text(token)

    def compile_ahead(self, constraints: Iterable[Spec]) -> None:
        """Has every backend that can begin to compile."""
        specs = list(constraints)
        for backend in self.backends:
            if backend.capabilities.compiles_ahead:
                cast("GrammarBackend", backend).compile_ahead(specs)

    def close(self) -> None:
        """Nothing to give up: the backends are their owners'."""


def _source(template: ChatTemplate | None) -> Any:
    return getattr(template, "source", template)
