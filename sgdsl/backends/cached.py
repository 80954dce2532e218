"""Cached: a backend whose answers are kept on disk, so that what was answered once is not computed again."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast, get_args

from sgdsl.backends.base import BackendSession, Capabilities
from sgdsl.backends.cached_session import CachedSession
from sgdsl.backends.fingerprint import fingerprint_of
from sgdsl.backends.result_store import ResultStore
from sgdsl.backends.router import Router
from sgdsl.backends.worker import Worker
from sgdsl.errors import InvalidArgument
from sgdsl.process import as_backend

if TYPE_CHECKING:
    from grammars.spec import Spec
    from sgdsl.backends.base import GrammarBackend, TokenizingBackend
    from sgdsl.chat import ChatTemplate

__all__ = ["Cached"]

T = TypeVar("T")

Mode = Literal["deterministic", "all"]


class Cached:
    """Keeps what gens come to, the scores of selects, and the number of tokens at checkpoints.

    An answer is found again where everything that it depends on is the same: backend and model, all that the session
    holds before it, and what is asked for. It then comes at once, in one chunk, and the backend is not touched; a
    session catches up with the backend when something is asked for that is not known. Selects are chosen anew from
    the scores that were kept, so one that draws without a seed still draws.

    Through a `Router`, where a session may be on one backend now and on another the next time, checkpoints are asked
    for each time, and what is known is told as text.

    Since an answer decides what is asked for next, a session's calls are handed to the backend one by one, not as a
    script. Tokens that a session has caught up on count as "prompt" in `s.tokens()`. Concatenation is not offered.

    Args:
        backend: a backend, or an Engine. Whoever made it closes it.
        path: of the cache's file (SQLite); made where it is missing.
        mode: "deterministic" keeps gens with temperature 0 or with a seed; "all" the others too: their first answer.
        max_bytes: what answers may take together; those not asked for longest are forgotten.
        fingerprint: what tells this backend and its model from any other. Left out, the backend's own is taken. Give
            one where a model changes under the same name.

    Attributes:
        hits, misses: how often an answer was known, and was not.

    Raises:
        InvalidArgument: an argument is not allowed.
        OSError: the folder of the file cannot be made.
    """

    def __init__(
        self,
        backend: Any,
        path: str | Path,
        *,
        mode: Mode = "deterministic",
        max_bytes: int = 1 << 30,
        fingerprint: str | None = None,
    ) -> None:
        if mode not in get_args(Mode):
            raise InvalidArgument(f"mode={mode!r} is not allowed: one of {', '.join(get_args(Mode))}")
        if isinstance(max_bytes, bool) or not isinstance(max_bytes, int) or max_bytes < 1:
            raise InvalidArgument(f"max_bytes={max_bytes!r} is not allowed: an integer of at least 1")
        if not isinstance(path, str | Path) or not str(path) or Path(path).expanduser().is_dir():
            raise InvalidArgument(f"path={path!r} is not allowed: the name of a file")
        self.backend = as_backend(backend)
        self.mode = mode
        self.store = ResultStore(Path(path).expanduser(), max_bytes)
        self.worker = Worker("sgdsl-cache")
        self._fingerprint = fingerprint
        if fingerprint is None:
            fingerprint_of(self.backend)  # now, because an engine computes it once, and no program shall wait for that
        self.hits = 0
        self.misses = 0
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """The backend's name."""
        return self.backend.name

    @property
    def fingerprint(self) -> str:
        """What was given, or the backend's own: another one where an endpoint has come to another server."""
        return fingerprint_of(self.backend) if self._fingerprint is None else self._fingerprint

    @property
    def keeps_marks(self) -> bool:
        """Whether a checkpoint's number means the same in any session that holds the same."""
        return not isinstance(self.backend, Router)

    @property
    def tells_tokens(self) -> bool:
        """Whether a session is told what is known as tokens."""
        return self.keeps_marks and self.backend.capabilities.tokens

    @property
    def capabilities(self) -> Capabilities:
        """The backend's, without concatenation."""
        return replace(self.backend.capabilities, concat=False)

    @property
    def chat_template(self) -> ChatTemplate | None:
        """The backend's."""
        return self.backend.chat_template

    def open(self, *, namespace: str = "", program: str = "") -> BackendSession:
        """A new, empty session; the backend's own is opened when it is needed."""
        return CachedSession(self, namespace, program)

    def find(self, key: bytes) -> Any:
        """The value kept under a key, or None; counts."""
        value = self.store.get(key)
        with self._lock:
            self.hits += value is not None
            self.misses += value is None
        return value

    def token_text(self, token: int) -> str:
        """The text of one token."""
        return self.backend.token_text(token)

    def tokenize(self, text: str) -> list[int]:
        """As the backend."""
        return cast("TokenizingBackend", self.backend).tokenize(text)

    def count_tokens(self, text: str) -> int:
        """As the backend."""
        return cast("TokenizingBackend", self.backend).count_tokens(text)

    def remember(self, texts: Iterable[str]) -> None:
        """As the backend."""
        cast("TokenizingBackend", self.backend).remember(texts)

    def compile_ahead(self, constraints: Iterable[Spec]) -> None:
        """As the backend."""
        cast("GrammarBackend", self.backend).compile_ahead(constraints)

    def close(self) -> None:
        """Closes the cache. The backend goes on, and so do programs on it, uncached."""
        self.store.close()

    def __enter__(self) -> Cached:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
