"""Concatenation: what forks have come to is appended to the session they came from, as KV.

Nothing is computed again: the keys of a fork's tokens are turned on to the positions they get, values are taken as
they are. Each part has seen the common beginning and itself, not the parts before it: that is how it differs from a
prompt of the same tokens. (The idea that positions can be changed in cached keys: Gim et al., "Prompt Cache", 2023,
arXiv:2311.04934, and Yao et al., "CacheBlend", 2024, arXiv:2405.16444.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from typing_extensions import override

from runtime.errors import InvalidParameter, anew
from runtime.handle import Handle
from runtime.script import Op
from runtime.session_state import SessionState

if TYPE_CHECKING:
    from runtime.core import EngineCore
    from runtime.session import Session

__all__ = ["Concat", "Part", "tokens_beyond"]


@dataclass(eq=False, slots=True)
class Part(Op):
    """Stands in a fork's script: the fork waits here until what it holds was taken.

    Attributes:
        session: the fork, once its script has come here.
        source: the session whose KV is taken: the fork, or one of its own where its beginning was changed.
    """

    concat: Concat
    session: SessionState | None = None
    source: SessionState | None = None

    @override
    def begin(self, core: EngineCore, session: SessionState) -> None:
        if self.concat.is_over:
            return
        self.session = session
        session.is_suspended, session.awaiting = True, self
        self.concat.go_on(core)

    def release(self, core: EngineCore) -> None:
        """The fork's script goes on."""
        session, source, self.session, self.source = self.session, self.source, None, None
        if source is not None and source is not session:
            core.cancel(source)
            core.sessions.drop(source)
        if session is not None and session.awaiting is self:
            session.is_suspended, session.awaiting = False, None
            core.advance(session)

    @override
    def abandon(self, error: BaseException) -> None:
        self.concat.abandon(error)


@dataclass(eq=False, slots=True)
class Concat(Op):
    """Appends what forks hold beyond the fork, one after the other, once their scripts have come to their parts.

    The last token of a fork, whose KV a model computes only when it goes on, is computed in the fork before.

    Args:
        handle: who waits for the number of tokens appended.
        forks: what the user holds of them; not to be dropped, and thereby cancelled, before.
    """

    handle: Handle[int]
    forks: Sequence[Session]
    parts: list[Part] = field(init=False)
    is_over: bool = False
    _core: EngineCore | None = None
    _session: SessionState | None = None
    _error: BaseException | None = None
    _num_taken: int = 0
    _num_tokens: int = 0
    _is_computing: bool = False

    def __post_init__(self) -> None:
        self.parts = [Part(self) for _ in self.forks]

    @override
    def begin(self, core: EngineCore, session: SessionState) -> None:
        if self._error is not None:  # a fork failed before
            raise anew(self._error)
        session.is_suspended, session.awaiting = True, self
        self._session = session
        self.go_on(core)

    def go_on(self, core: EngineCore) -> None:
        """Takes the parts that are there, in order, as far as that is possible now."""
        self._core = core
        try:
            while self._session is not None and not self._is_computing and not self.is_over:
                if self._num_taken == len(self.parts):
                    self._finish(core, self._session)
                elif not self._take_next(core, self._session):
                    return
        except Exception as error:  # of the session that concatenates, whoever's turn it is
            self.abandon(error)

    def _take_next(self, core: EngineCore, session: SessionState) -> bool:
        """Takes the next part; False where it has to be waited for."""
        part = self.parts[self._num_taken]
        if part.session is None:
            return False
        part.source = source = part.source or _source(core, part.session)
        if source.sequence is not None and source.sequence.kv_len < len(source.tokens):
            self._is_computing = True
            failed = source.fail if source is part.session else self.abandon
            core.prefill(source, lambda _: self._computed(core), failed)
            return True
        self._append(core, session, source)
        self._num_taken += 1
        part.release(core)
        return True

    def _computed(self, core: EngineCore) -> None:
        self._is_computing = False
        self.go_on(core)

    def _append(self, core: EngineCore, session: SessionState, source: SessionState) -> None:
        start = source.base
        if start == 0 and session.tokens and source.tokens[:1] == [core.begin_token]:
            start = 1  # each has begun by itself, but a text begins once
        tokens = source.tokens[start:]
        if not tokens or source.sequence is None:
            return
        core.check_length(session, 0, num_extra=len(tokens))
        slots = source.sequence.slots(start, len(source.tokens), core.cache.page_size)
        kv = core.runner.take_kv(slots, start, len(session.tokens))
        core.sessions.graft(session, tokens, source.origins[start:], kv)
        core.stats.concatenated_tokens += len(tokens)
        self._num_tokens += len(tokens)

    def _finish(self, core: EngineCore, session: SessionState) -> None:
        session.is_suspended, session.awaiting = False, None
        self.handle.finish(self._num_tokens)
        self._end()
        core.advance(session)

    @override
    def abandon(self, error: BaseException) -> None:
        if self.is_over:
            return
        self._error = error
        self.handle.fail(error)
        self._end()
        core, session = self._core, self._session
        if core is not None and session is not None:  # a fork has failed, or taking its part did
            session.is_suspended, session.awaiting = False, None
            session.fail(error)
            core.advance(session)

    def _end(self) -> None:
        self.is_over = True
        self.forks = ()
        if self._core is not None:
            for part in self.parts:
                part.release(self._core)


def _source(core: EngineCore, fork: SessionState) -> SessionState:
    """The session whose tokens from `base` on are the part: the fork, or a branch of it.

    Where the fork's first token was healed, it spells the end of the common beginning too. The text behind that is
    then tokenized by itself, and the part computed again on a branch.
    """
    if fork.tokens[fork.shared : fork.base] == fork.base_tail:
        return fork
    tokens = tokens_beyond(core, fork)
    branch = SessionState(fork.namespace, fork.program, fork.run)
    core.sessions.fork(fork, branch)
    branch.cut(fork.shared)
    branch.trim(core.cache)
    branch.extend(fork.base_tail)
    branch.begin_here()
    branch.take(tokens, bytes([1]) * len(tokens))
    return branch


def tokens_beyond(core: EngineCore, fork: SessionState) -> list[int]:
    """The tokens of a fork's text behind the common beginning, of which it spells the end anew.

    Raises:
        InvalidParameter: it does not; it went back behind the place where it began.
    """
    table = core.tokenizer.token_bytes
    pending = b"".join(table[token] or b"" for token in fork.base_tail)
    own = fork.tokens[fork.shared :]
    text = b""
    for count, token in enumerate(own, start=1):
        text += table[token] or b""
        if len(text) < len(pending):
            continue
        rest = text[len(pending) :]
        if not text.startswith(pending):
            break
        try:
            return [*core.tokenizer.encode_plain(rest.decode()), *own[count:]]
        except UnicodeDecodeError:  # the character goes on in the next token
            continue
    raise InvalidParameter("sessions", "a fork that went back behind its beginning", "forks that still have it")
