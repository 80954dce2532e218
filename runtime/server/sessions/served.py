"""Served: one session of a client: what it was asked for, in order, on a session of the engine."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from runtime.errors import InvalidParameter, RequestCancelled
from runtime.handle import Chunk, Handle
from runtime.hint import Hint
from runtime.wire import messages as wire
from runtime.wire.errors import ProtocolError, problem_of
from runtime.wire.params import read_params

if TYPE_CHECKING:
    from runtime.server.served_engine import ServedSession
    from runtime.server.sessions.peer import Peer

__all__ = ["Served", "bytes_of"]

OP_BYTES = 64


class Served:
    """Works operations off as far as they can go; an operation waits for nothing that the engine can wait for itself.

    Args:
        peer: whose session it is.
        number: its name on the connection.
        origin: the session it is a fork of.

    Attributes:
        session: the engine's; None until it has begun, and after its end.
        queue: operations that wait.
        undecided: a score whose choice the client is making.
        error: why it can do nothing more.
    """

    def __init__(self, peer: Peer, number: int, origin: Served | None = None) -> None:
        self.peer = peer
        self.number = number
        self.origin = origin
        self.session: ServedSession | None = None
        self.queue: deque[wire.Op] = deque()
        self.undecided: wire.Score | None = None
        self._probe: ServedSession | None = None
        self.error: BaseException | None = None
        self.has_begun = False
        self.will_close = False
        self._never_begins = False

    def step(self) -> None:
        """Does what can be done now."""
        while self.queue and self.undecided is None and not self._waits(self.queue[0]):
            op = self.queue.popleft()
            self.peer.leave_queue(op)
            try:
                if self.error is not None and not isinstance(op, wire.Close):
                    raise self.error
                _DO[type(op)](self, op)
            except Exception as error:  # whatever it is, it is this session's alone
                self._fail(op, error)
        if self.session is not None:
            self.session.flush()
        if self.origin is not None and self.origin.queue:
            self.peer.wake(self.origin)

    def _waits(self, op: wire.Op) -> bool:
        """A fork for its beginning; a concatenation for what its forks were told before it."""
        if isinstance(op, wire.Concat) and self.error is None:
            return any(
                part.queue or part.undecided is not None
                for part in map(self.peer.sessions.get, op.sessions)
                if part is not None and part.error is None and part.origin is self
            )
        return self.session is None and not self._never_begins and not isinstance(op, wire.Open)

    def _fail(self, op: wire.Op, error: Exception) -> None:
        self.error = self.error or error
        if isinstance(op, wire.Fork):
            for number in op.sessions:
                child = self.peer.sessions.get(number)
                if child is not None:
                    child.error, child._never_begins = child.error or error, True
                    self.peer.wake(child)
        call = getattr(op, "call", None)
        if call is not None:
            self.peer.say(wire.Failed(call, problem_of(error)))

    def cancel(self) -> None:
        """Ends everything unfinished, at once."""
        self.error = self.error or RequestCancelled("cancelled")
        if self.undecided is not None:
            self.peer.undecided.pop(self.undecided.call, None)
            self.peer.say(wire.Failed(self.undecided.call, problem_of(self.error)))
            self._settle()
        if self.session is not None:
            self.session.cancel()
            self.peer.wake(self)

    def give_up(self) -> None:
        """The client has gone."""
        self._settle()
        session, self.session = self.session, None
        if session is not None:
            session.cancel()
            session.close()

    def _settle(self) -> wire.Score | None:
        """No choice is awaited any more; which one was."""
        op, self.undecided = self.undecided, None
        probe, self._probe = self._probe, None
        if probe is not None:
            probe.cancel()
        return op

    def decide(self, index: int | None) -> None:
        """The client has chosen, or could not."""
        op = self._settle()
        if op is None:
            return
        try:
            if index is None:
                raise RequestCancelled("the client could not choose")
            if not 0 <= index < len(op.choices):
                raise InvalidParameter("index", index, f"the position of one of {len(op.choices)} choices")
            handle = self._scored(self._own, op, lambda rows: index)
            self._follow(handle, op.call, lambda result: wire.Scored(op.call, result))
        except Exception as error:
            self._fail(op, error)
        self.peer.wake(self)

    @property
    def _own(self) -> ServedSession:
        if self.session is None:
            raise ProtocolError(f"session {self.number} has not begun")
        return self.session

    # operations

    def _open(self, op: wire.Open) -> None:
        self.session = self.peer.engine.open(namespace=self.peer.namespace(op.namespace), program=op.program)

    def _append(self, op: wire.Append) -> None:
        self._own.append(op.content)

    def _label(self, name: str | None) -> None:
        """Engines do not care what a call is for; what stands in for one may."""
        label = getattr(self.session, "label", None)
        if label is not None:
            label(name)

    def _generate(self, op: wire.Generate) -> None:
        self._label(op.name)
        params = read_params(op.params)
        handle = self._own.generate(params, top_logprobs=op.top_logprobs, logprob_start=op.logprob_start)
        self._follow(handle, op.call, partial(wire.Generated, op.call))

    def _score(self, op: wire.Score) -> None:
        self._label(op.name)
        if op.choosing is not None:
            self._follow(self._scored(self._own, op, op.choosing), op.call, partial(wire.Scored, op.call))
            return
        (probe,) = self._own.fork(1)  # the scores are what the client chooses by; the choice itself comes later
        handle = self._scored(probe, op, lambda rows: 0)
        probe.close()
        self.undecided, self._probe = op, probe
        self.peer.undecided[op.call] = self
        self._follow(handle, op.call, lambda result: wire.Rows(op.call, result.basis))

    @staticmethod
    def _scored(session: ServedSession, op: wire.Score, choose: Callable[[Any], int]) -> Handle[Any]:
        return session.score(op.choices, choose, unconditional=op.unconditional, priority=op.priority)

    def _fork(self, op: wire.Fork) -> None:
        for number, session in zip(op.sessions, self._own.fork(len(op.sessions)), strict=True):
            child = self.peer.sessions.get(number)
            if child is None:  # closed before it began
                session.close()
                continue
            child.session = session
            if child.error is not None:
                session.cancel()
            self.peer.wake(child)

    def _concat(self, op: wire.Concat) -> None:
        parts = []
        for number in op.sessions:
            part = self.peer.sessions.get(number)
            if part is None or part.origin is not self:
                raise InvalidParameter("sessions", number, f"forks of session {self.number} that are open")
            if part.error is not None:
                raise part.error
            parts.append(part._own)
        self._follow(self._own.concat(parts), op.call, partial(wire.Counted, op.call))

    def _tokens(self, op: wire.Tokens) -> None:
        self._follow(self._own.tokens(), op.call, lambda tokens: wire.Listed(op.call, tuple(tokens)))

    def _mark(self, op: wire.Mark) -> None:
        self._follow(self._own.mark(), op.call, partial(wire.Counted, op.call))

    def _truncate(self, op: wire.Truncate) -> None:
        self._own.truncate(op.num_tokens)

    def _hint(self, op: Hint) -> None:
        self._own.hint(op)

    def _close(self, op: wire.Close) -> None:
        session, self.session = self.session, None
        self.peer.forget(self)
        if session is not None:
            session.close()

    def _follow(self, handle: Handle[Any], call: int, answer: Callable[[Any], wire.FromServer]) -> None:
        handle.subscribe(partial(_arrived, handle, call, answer, self.peer.say))


def _arrived(
    handle: Handle[Any],
    call: int,
    answer: Callable[[Any], wire.FromServer],
    say: Callable[[wire.FromServer], None],
    chunk: Chunk | None,
) -> None:
    """In the engine's thread: quick, and holding on to nothing but the outbox."""
    if chunk is not None:
        say(wire.Streamed(call, chunk))
    elif (error := handle.error()) is not None:
        say(wire.Failed(call, problem_of(error)))
    else:
        say(answer(handle.result()))


_DO: Mapping[type, Callable[[Served, Any], None]] = MappingProxyType(
    {
        wire.Open: Served._open,
        wire.Append: Served._append,
        wire.Generate: Served._generate,
        wire.Score: Served._score,
        wire.Fork: Served._fork,
        wire.Concat: Served._concat,
        wire.Tokens: Served._tokens,
        wire.Mark: Served._mark,
        wire.Truncate: Served._truncate,
        wire.Close: Served._close,
        Hint: Served._hint,
    }
)


def bytes_of(op: wire.Op) -> int:
    """About what an operation holds while it waits."""
    if isinstance(op, wire.Append):
        return OP_BYTES + (len(op.content) if isinstance(op.content, str) else 8 * len(op.content))
    if isinstance(op, wire.Score):
        return OP_BYTES + sum(map(len, op.choices))
    if isinstance(op, wire.Generate):
        return OP_BYTES + _depth_free_size(op.params)
    if isinstance(op, wire.Fork | wire.Concat):
        return OP_BYTES + 8 * len(op.sessions)
    return OP_BYTES


def _depth_free_size(params: object) -> int:
    """Characters and entries of nested plain data."""
    total, stack = 0, [params]
    while stack:
        one = stack.pop()
        total += len(one) if isinstance(one, str) else 8
        if isinstance(one, Mapping):
            stack.extend(one.keys())
            stack.extend(one.values())
        elif isinstance(one, Sequence) and not isinstance(one, str):
            stack.extend(one)
    return total
