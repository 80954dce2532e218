"""Peer: one client's half of the protocol of sessions, over an engine. It takes messages and says messages."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from runtime.errors import InvalidParameter
from runtime.server.served_engine import ServedEngine
from runtime.server.sessions.limits import SessionLimits
from runtime.server.sessions.served import Served, bytes_of
from runtime.wire import messages as wire
from runtime.wire.errors import ProtocolError, problem_of
from runtime.wire.params import read_spec

__all__ = ["Peer", "is_heavy"]

HEAVY_CHARACTERS = 8192
MOST_TEXTS = 16384


class Peer:
    """Every session of one client. Knows no sockets; used from one thread at a time, but for `say`.

    Args:
        engine: serves the sessions.
        say: sends a message, soon; it is called from any thread and must not block.
        limits: what the client may have.
        namespace: the engine's, of the one that the client names.

    Attributes:
        sessions: by the client's numbers. undecided: call → the session that waits for the client's choice.
    """

    def __init__(
        self,
        engine: ServedEngine,
        say: Callable[[wire.FromServer], None],
        limits: SessionLimits | None = None,
        namespace: Callable[[str], str] = str,
    ) -> None:
        self.engine = engine
        self.say = say
        self.limits = limits or SessionLimits()
        self.namespace = namespace
        self.sessions: dict[int, Served] = {}
        self.undecided: dict[int, Served] = {}
        self._ready: deque[Served] = deque()
        self._num_waiting = self._bytes_waiting = 0
        self._is_closed = False

    def take(self, messages: Iterable[wire.FromClient]) -> None:
        """Does what the client asks.

        Raises:
            ProtocolError: it asks for what the protocol does not have, or for more than it may have.
        """
        for message in messages:
            if isinstance(message, wire.Script):
                self._script(message)
            elif isinstance(message, wire.Cancel):
                if (served := self.sessions.get(message.session)) is not None:
                    served.cancel()
            elif isinstance(message, wire.Chosen):
                if (served := self.undecided.pop(message.call, None)) is not None:  # else it was cancelled meanwhile
                    served.decide(message.index)
            else:
                self._answer(message)
            self._run()

    def close(self) -> None:
        """The client has gone: everything ends at once. Safe to call twice."""
        self._is_closed = True
        sessions, self.sessions = list(self.sessions.values()), {}
        for served in sessions:
            served.queue.clear()
            served.give_up()
        self.undecided.clear()
        self._ready.clear()

    # for sessions

    def wake(self, served: Served) -> None:
        """That session may be able to go on."""
        self._ready.append(served)

    def forget(self, served: Served) -> None:
        """That session has closed."""
        self.sessions.pop(served.number, None)

    def leave_queue(self, op: wire.Op) -> None:
        """An operation waits no longer."""
        self._num_waiting -= 1
        self._bytes_waiting -= bytes_of(op)

    def _run(self) -> None:
        """In rounds rather than by recursion: forks of forks can be as deep as a client likes."""
        while self._ready:
            self._ready.popleft().step()

    def _script(self, script: wire.Script) -> None:
        served = self.sessions.get(script.session)
        if served is None:
            served = self._begin(script)
            if served is None:
                return
        for op in script.ops:
            self._check(served, op)
            served.queue.append(op)
            self._num_waiting += 1
            self._bytes_waiting += bytes_of(op)
            if isinstance(op, wire.Fork):
                for number in op.sessions:
                    self._add(number, served)
        self.wake(served)
        self._run()
        if self._num_waiting > self.limits.max_waiting_ops or self._bytes_waiting > self.limits.max_waiting_bytes:
            raise ProtocolError(
                f"{self._num_waiting} operations of {self._bytes_waiting} bytes wait for others: at most "
                f"{self.limits.max_waiting_ops} of {self.limits.max_waiting_bytes} bytes may"
            )

    def _begin(self, script: wire.Script) -> Served | None:
        """A session nobody knows yet; one that is over already may be closed once more."""
        if script.ops and isinstance(script.ops[0], wire.Open):
            return self._add(script.session, None)
        if all(isinstance(op, wire.Close) for op in script.ops):
            return None
        raise ProtocolError(f"session {script.session} has not begun, or is over")

    def _add(self, number: int, origin: Served | None) -> Served:
        if number in self.sessions:
            raise ProtocolError(f"session {number} has begun already")
        if len(self.sessions) >= self.limits.max_sessions:
            raise ProtocolError(f"max_sessions={self.limits.max_sessions} sessions are open on this connection")
        served = self.sessions[number] = Served(self, number, origin)
        return served

    @staticmethod
    def _check(served: Served, op: wire.Op) -> None:
        if served.will_close:
            raise ProtocolError(f"session {served.number}: {type(op).__name__} behind a Close")
        if isinstance(op, wire.Open):
            if served.has_begun or served.origin is not None:
                raise ProtocolError(f"session {served.number} has begun already")
            served.has_begun = True
        served.will_close = isinstance(op, wire.Close)

    def _answer(self, message: wire.Tokenize | wire.Texts | wire.CompileAhead) -> None:
        """Questions that no session is asked."""
        try:
            if isinstance(message, wire.CompileAhead):
                self.engine.compile_ahead([read_spec(one) for one in message.constraints])
            elif isinstance(message, wire.Tokenize):
                self.engine.remember(message.texts)
                tokens = self.engine.tokenizer.encode_batch(message.texts)
                self.say(wire.Tokenized(message.call, tuple(map(tuple, tokens))))
            else:
                self.say(wire.TokenTexts(message.call, self._texts(message.first, message.count)))
        except Exception as error:  # what comes ahead of its use fails when it is used
            if not isinstance(message, wire.CompileAhead):
                self.say(wire.Failed(message.call, problem_of(error)))

    def _texts(self, first: int, count: int) -> tuple[str, ...]:
        if first < 0 or not 0 < count <= MOST_TEXTS:
            raise InvalidParameter("count", count, f"1 to {MOST_TEXTS} tokens from 0 on")
        tokenizer = self.engine.tokenizer
        last = min(first + count, tokenizer.vocab_size)
        return tuple(tokenizer.decode([token], skip_special_tokens=False) for token in range(first, last))


def is_heavy(messages: Sequence[wire.FromClient]) -> bool:
    """Whether taking these would hold up whoever shares the thread: long texts are tokenized, and so are choices."""
    total = 0
    for message in messages:
        if isinstance(message, wire.Tokenize | wire.Texts | wire.Chosen):
            return True
        if isinstance(message, wire.Script):
            for op in message.ops:
                if isinstance(op, wire.Score) or (isinstance(op, wire.Generate) and "token_healing" in op.params):
                    return True
                if isinstance(op, wire.Append) and isinstance(op.content, str):
                    total += len(op.content)
    return total > HEAVY_CHARACTERS
