"""SessionState: a session as the engine's thread sees it: tokens, where their KV is, and the script still to run."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from runtime.errors import InvalidParameter, RequestCancelled, anew
from runtime.program_run import ProgramRun

if TYPE_CHECKING:
    from runtime.compilation import Ticket
    from runtime.hint import Hint
    from runtime.job import Job
    from runtime.memory.cache import PrefixCache
    from runtime.memory.sequence import SequenceKV
    from runtime.script import Op

__all__ = ["ORIGINS", "SessionState", "check_namespace"]

ORIGINS = ("prompt", "generated", "forced")
_FORCED = ORIGINS.index("forced")


class SessionState:
    """Owned by the engine's thread alone.

    Attributes:
        run: shared by a session and all its forks.
        tokens: everything so far; the running request appends to this very list.
        sequence: where the KV is; None until the engine has taken the session up.
        script: operations not begun yet.
        jobs: what runs for it now; the script goes on when there is none.
        awaiting: an operation begun that has no job yet, because its grammar is being compiled.
        ticket: of that compilation.
        error: why it can do nothing more.
        hint: what is known of its future; None while nothing is.
        fork_of: the session this one is a fork of.
        base: tokens it began with as a fork; the first `shared` of them stand unchanged, `base_tail` are the others.
        marked: tokens before this place stay as they are: somebody may return to it.
        is_ending: it failed before its script came to the close in it, which is still due.
    """

    def __init__(self, namespace: str, program: str, run: ProgramRun | None = None) -> None:
        self.namespace = namespace
        self.program = program
        self.run = run or ProgramRun(program)
        self.tokens: list[int] = []
        self.script: deque[Op] = deque()
        self.jobs: list[Job] = []
        self.awaiting: Op | None = None
        self.ticket: Ticket | None = None
        self.sequence: SequenceKV | None = None
        self.error: BaseException | None = None
        self.is_ending = False
        self.is_closed = False
        self.is_suspended = False
        self.hint: Hint | None = None
        self.fork_of: weakref.ref[SessionState] | None = None
        self.base = self.shared = 0
        self.base_tail: list[int] = []
        self.last_use = 0
        self.marked = 0
        self._origins = bytearray()

    @property
    def is_busy(self) -> bool:
        """Whether the script has to wait."""
        return bool(self.jobs) or self.is_suspended

    @property
    def returns(self) -> bool | None:
        """Whether what it holds is the beginning of something that follows, as far as its program has said."""
        return None if self.hint is None else self.hint.extends_again

    def adopt(self, tokens: Sequence[int], origins: bytes) -> None:
        """Takes over another session's tokens."""
        self.tokens = list(tokens)
        self._origins = bytearray(origins)

    def begin_here(self) -> None:
        """What it holds now is what it began with."""
        self.base = self.shared = len(self.tokens)
        self.base_tail = []

    @property
    def origins(self) -> bytes:
        """One index into ORIGINS per token."""
        return bytes(self._origins)

    def forced(self, start: int) -> tuple[bool, ...]:
        """Of each token from `start` on, whether a grammar forced it."""
        return tuple(origin == _FORCED for origin in self._origins[start:])

    def add(self, token: int, origin: str) -> None:
        """Appends one token."""
        self.tokens.append(token)
        self._origins.append(ORIGINS.index(origin))

    def extend(self, tokens: Sequence[int]) -> None:
        """Appends tokens of the program's text."""
        self.tokens.extend(tokens)
        self._origins.extend(bytes(len(tokens)))

    def take(self, tokens: Sequence[int], origins: bytes) -> None:
        """Appends another session's tokens."""
        self.tokens.extend(tokens)
        self._origins.extend(origins)

    def cut(self, num_tokens: int) -> None:
        """Forgets all tokens from `num_tokens` on; their KV is cut by whoever settles the step."""
        if num_tokens < self.shared:
            self.base_tail = self.tokens[num_tokens : self.shared] + self.base_tail
            self.shared = num_tokens
        self.marked = min(self.marked, num_tokens)
        del self.tokens[num_tokens:]
        del self._origins[num_tokens:]

    def trim(self, cache: PrefixCache) -> None:
        """Cuts KV of tokens that are no more."""
        if self.sequence is not None:
            cache.truncate(self.sequence, len(self.tokens))

    def fail(self, error: BaseException) -> None:
        """Ends everything still in the script with `error`; later operations fail with it as well.

        So do forks that have not begun, and theirs: in rounds, as they can be deeper than Python's stack.
        """
        failing = [self]
        while failing:
            failing += failing.pop()._give_up(error)

    def _give_up(self, error: BaseException) -> list[SessionState]:
        """Ends this session's script; returns the forks that will never begin."""
        self.error = self.error or anew(error)
        if self.awaiting is not None:
            self.awaiting.abandon(self.error)
            self.awaiting = None
        forks: list[SessionState] = []
        while self.script:
            op = self.script.popleft()
            self.is_ending = self.is_ending or op.ends_session
            forks += op.orphans(self.error)
        return forks

    def cancelled(self) -> RequestCancelled:
        """The error a cancelled operation ends with."""
        return RequestCancelled(f"cancelled{f' in {self.program}' if self.program else ''}")


def check_namespace(namespace: str) -> None:
    """What would fail in the engine's thread, where it is hashed, harms nobody here.

    Raises:
        InvalidParameter: it is no text, or holds half of a surrogate pair.
    """
    try:
        namespace.encode()
    except (AttributeError, UnicodeEncodeError):
        raise InvalidParameter("namespace", namespace, "text that can be encoded as UTF-8") from None
