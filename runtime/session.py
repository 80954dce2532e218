"""Session: a growing token sequence in the engine, as its users hold it."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from runtime.concat import Concat
from runtime.errors import InvalidParameter
from runtime.handle import Generation, Handle, Scores
from runtime.hint import Hint
from runtime.memory.pins import check_ttl
from runtime.pinning import Pin
from runtime.sampling.params import SamplingParams
from runtime.scoring import Choose, Score
from runtime.script import Append, Close, Foretell, Fork, Generate, Mark, Op, Tokens, Truncate
from runtime.session_state import SessionState

if TYPE_CHECKING:
    from runtime.constant_texts import ConstantTexts
    from runtime.tokenizer import Tokenizer

__all__ = ["Session", "SessionCore"]


class SessionCore(Protocol):
    """What a session needs of the engine's inside, in this process or in another."""

    @property
    def constants(self) -> ConstantTexts:
        """Texts whose tokens are known."""

    def post(self, action: Callable[[], None], /) -> None:
        """Has `action` called where the engine's sessions live."""

    def enqueue(self, session: SessionState, ops: list[Op], /) -> None:
        """Adds to a session's script and goes on with it."""

    def cancel(self, session: SessionState, /) -> None:
        """Ends whatever the session is doing and was going to do."""

    def leave(self, session: SessionState, /) -> None:
        """Has a session ended whose last user is gone. Garbage collection calls this: it takes no lock."""


class Session:
    """Calls are recorded as a script and handed over by `flush`, which waiting for any result does by itself.

    The engine works the script off in order without asking back; appends cost nothing until a later call needs them.
    Safe to use from several threads. A session that is dropped is closed when what it handed over has ended, at once
    where it had handed over nothing that anybody waits for.

    Args:
        core: the engine's inside.
        tokenizer: turns appended text into tokens, in the caller's thread.
        state: the engine's view of the session.
        is_empty: whether nothing was appended yet, so that a begin token may be due.
        parent: the session this one is forked from; its script, with the fork in it, is handed over first.
    """

    def __init__(
        self,
        core: SessionCore,
        tokenizer: Tokenizer,
        state: SessionState,
        *,
        is_empty: bool = True,
        parent: Session | None = None,
    ) -> None:
        self._core = core
        self._tokenizer = tokenizer
        self._state = state
        self._is_empty = is_empty
        self._parent = parent
        self._tail = ""
        self._tail_ids: Sequence[int] = ()
        self._tail_begins = False
        self._ops: list[Op] = []
        # Re-entrant: after shutdown, handing over ends what waits here and now, and whoever waits may use the session.
        self._lock = threading.RLock()
        self._finalizer = weakref.finalize(self, core.leave, state)
        self._finalizer.atexit = False

    def append(self, content: str | Sequence[int]) -> None:
        """Adds text, tokenized as one string by itself, or token ids."""
        if isinstance(content, str):
            if not content:
                return
            with self._lock:
                begins = self._is_empty and self._tokenizer.adds_bos
                ids = self._core.constants.encode(content, add_bos=begins)
                self._record(Append(ids), tail=content, tail_ids=ids)
                self._tail_begins = begins
            return
        given = list(content)
        for token in given:
            if isinstance(token, bool) or not isinstance(token, int) or not 0 <= token < self._tokenizer.vocab_size:
                raise InvalidParameter("input_ids", token, f"token ids in 0..{self._tokenizer.vocab_size - 1}")
        if given:
            self._record(Append(given))

    def generate(
        self,
        params: SamplingParams | None = None,
        *,
        top_logprobs: int | None = None,
        logprob_start: int | None = None,
    ) -> Handle[Generation]:
        """Samples new tokens.

        Args:
            params: how; `n` must be 1 (fork for more).
            top_logprobs: log probabilities wanted: None for none, 0 for the sampled tokens', k for k alternatives too.
            logprob_start: also those of the prompt's tokens from this position on.

        Raises:
            InvalidParameter: n is not 1, or a number is out of range.
        """
        params = params or SamplingParams()
        if params.n != 1:
            raise InvalidParameter("n", params.n, "1 on a session; fork it for more samples")
        if top_logprobs is not None and not 0 <= top_logprobs <= 256:
            raise InvalidParameter("top_logprobs", top_logprobs, "an integer in 0..256")
        if params.token_healing or params.constraint_after is not None:
            _ = self._tokenizer.prefixes  # made in the caller's thread, not in the engine's
        handle: Handle[Generation] = Handle(_flush=self.flush)
        self._record(Generate(params, handle, top_logprobs, logprob_start))
        return handle

    def score(
        self, choices: Sequence[str], choose: Choose, *, unconditional: bool = False, priority: int = 0
    ) -> Handle[Scores]:
        """Scores every choice as the continuation of the text, and goes on with the one `choose` takes.

        Args:
            choices: non-empty strings.
            choose: token log probabilities per choice → index. Called in the engine's thread: quick and pure.
            unconditional: what `choose` gets is how much more likely the prompt makes each token: the log probability
                of the same ids without the prompt is taken off.
            priority: as in `SamplingParams`.

        Raises:
            InvalidParameter: no choice, or an empty one.
        """
        if not choices or not all(isinstance(choice, str) and choice for choice in choices):
            raise InvalidParameter("choices", choices, "at least one non-empty string")
        handle: Handle[Scores] = Handle(_flush=self.flush)
        with self._lock:
            # To an empty session the engine itself gives the begin token.
            add_bos = bool(self._tail) and self._tail_begins
            ids = [self._tokenizer.encode(self._tail + choice, add_bos=add_bos) for choice in choices]
            self._record(Score(self._tail_ids, ids, choose, handle, unconditional, priority))
        return handle

    def fork(self, n: int) -> list[Session]:
        """`n` sessions that go on from here. They share the KV; what is not computed yet is computed once.

        Raises:
            InvalidParameter: n is not a positive integer.
        """
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise InvalidParameter("n", n, "an integer of at least 1")
        states = [SessionState(self._state.namespace, self._state.program, self._state.run) for _ in range(n)]
        for state in states:
            state.is_suspended = True
            state.fork_of = weakref.ref(self._state)
        with self._lock:
            self._record_between(Fork(states, self))
            return [self._child(state) for state in states]

    def _child(self, state: SessionState) -> Session:
        child = Session(self._core, self._tokenizer, state, is_empty=self._is_empty, parent=self)
        child._tail, child._tail_ids, child._tail_begins = self._tail, self._tail_ids, self._tail_begins
        return child

    def tokens(self) -> Handle[list[tuple[int, str]]]:
        """The tokens at this point of the script with their origins (prompt, generated, forced)."""
        handle: Handle[list[tuple[int, str]]] = Handle(_flush=self.flush)
        self._record_between(Tokens(handle))
        return handle

    def concat(self, sessions: Sequence[Session]) -> Handle[int]:
        """Appends what forks of this session hold beyond the fork, with its KV; gives the number of tokens.

        It counts what they were given so far, and waits for that; a fork goes on when its part was taken. Nothing is
        computed again: the parts' keys are turned on to their new positions, and what each part has attended to stays
        as it was, the beginning it shares with this session and itself. Nobody else ever finds such KV, not even for
        the same tokens; where memory runs short it is put back later as it is, and never computed from the tokens.
        A failure of one of the forks is this session's own.

        Args:
            sessions: forks of this very session, each once, in the order in which they are appended. They stay open.

        Raises:
            InvalidParameter: one is no fork of this session, or is there twice.
        """
        for session in sessions:
            origin = session._state.fork_of
            if origin is None or origin() is not self._state:
                raise InvalidParameter("sessions", session, "forks of the session that concatenates them")
        if len(set(map(id, sessions))) < len(sessions):
            raise InvalidParameter("sessions", sessions, "each fork once")
        handle: Handle[int] = Handle(_flush=self.flush)
        concat = Concat(handle, tuple(sessions))
        with self._lock:
            self._record(concat)
            self._is_empty = self._is_empty and all(session._is_empty for session in sessions)
        # Handed over first: whatever becomes of this session from now on, no fork waits for it in vain.
        parts = concat.parts
        self.flush()
        for session, part in zip(sessions, parts, strict=True):
            session._record_between(part)
            session.flush()
        return handle

    def hint(self, hint: Hint) -> None:
        """What is known of the program's future at this point of the script; it adds to what was known before."""
        self._record_between(Foretell(hint))

    def mark(self) -> Handle[int]:
        """The number of tokens at this point of the script, for `truncate`; what stands before it is not healed."""
        handle: Handle[int] = Handle(_flush=self.flush)
        self._record(Mark(handle))
        return handle

    def pin(self, ttl_seconds: float) -> Handle[str]:
        """Keeps what stands at this point of the script in the cache, whole pages of it, for a time or until unpinned.

        Raises:
            InvalidParameter: `ttl_seconds` is no positive number.
        """
        check_ttl(ttl_seconds)
        handle: Handle[str] = Handle(_flush=self.flush)
        self._record_between(Pin(handle, ttl_seconds))
        return handle

    def truncate(self, num_tokens: int) -> None:
        """Goes back to the first `num_tokens` tokens; their KV stays."""
        self._record(Truncate(num_tokens))

    def flush(self) -> None:
        """Hands over what was recorded."""
        with self._lock:
            ops, self._ops = self._ops, []
            parent, self._parent = self._parent, None
            if parent is not None:
                parent.flush()
            if ops:  # posted under the lock, so that two threads' scripts arrive in the order they were taken
                core, state = self._core, self._state
                core.post(lambda: core.enqueue(state, ops))

    def cancel(self) -> None:
        """Aborts everything that has not ended; what waits for it gets RequestCancelled."""
        self.flush()
        core, state = self._core, self._state
        core.post(lambda: core.cancel(state))

    def close(self) -> None:
        """Closes the session when its script has ended. Its KV stays cached, unlocked."""
        self._record(Close())
        self.flush()
        self._finalizer.detach()

    def _record_between(self, op: Op) -> None:
        """Records what adds no tokens: the text before it stays open to healing."""
        with self._lock:
            self._record(op, tail=self._tail, tail_ids=self._tail_ids)

    def _record(self, op: Op, *, tail: str = "", tail_ids: Sequence[int] = ()) -> None:
        with self._lock:
            self._ops.append(op)
            self._tail, self._tail_ids = tail, tail_ids
            self._is_empty = self._is_empty and not isinstance(op, Append | Generate | Score)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
