"""EndpointSession: a session on a server, as the language holds it. A flush, or a fork, sends what was recorded."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from runtime.choosing import Choosing
from runtime.errors import InvalidParameter, RequestCancelled
from runtime.handle import Generation, Handle, Scores
from runtime.wire import messages as wire
from sgdsl.backends.base import BackendSession, Choose
from sgdsl.backends.endpoint_connection import Call, EndpointConnection
from sgdsl.backends.endpoint_op import MOST_BYTES, size_of

if TYPE_CHECKING:
    from runtime.hint import Hint
    from runtime.sampling.params import SamplingParams

__all__ = ["EndpointSession"]

TOKEN_BITS = 62
"""No vocabulary is as large, and any reader of JSON takes such a number."""


class EndpointSession:
    """Safe to use from several threads. One that is dropped is cancelled and closed.

    Args:
        owner: the backend, which lives as long as its sessions.
        connection: what the session lives and dies with.
        begins: how it begins; None for a fork.
    """

    def __init__(
        self,
        owner: object,
        connection: EndpointConnection,
        begins: wire.Open | None,
    ) -> None:
        if begins is not None:
            size_of(begins)
        self._owner = owner
        self._connection = connection
        self._number = connection.number()
        self._ops: list[wire.Op] = [] if begins is None else [begins]
        self._calls: list[Call] = []
        self._label: str | None = None
        self._num_bytes = 0
        self._cancelled, self._closed, self._is_known = False, False, True
        self._lock = threading.RLock()
        self._finalizer = weakref.finalize(self, connection.leave, self._number)
        self._finalizer.atexit = False

    def label(self, name: str | None) -> None:
        """The next generate or score is for the variable `name`."""
        self._label = name

    def append(self, content: str | Sequence[int]) -> None:
        """More text, tokenized as one unit, or token ids.

        Raises:
            InvalidParameter: neither text nor integers, or too much at once.
            InvalidArgument: it is no proper text.
        """
        if not isinstance(content, str):
            content = tuple(content)
            for token in content:
                if type(token) is not int or token.bit_length() > TOKEN_BITS:
                    raise InvalidParameter("input_ids", token, "token ids")
        if content:
            self._record(wire.Append(content))

    def generate(
        self, params: SamplingParams, *, top_logprobs: int | None = None, logprob_start: int | None = None
    ) -> Handle[Generation]:
        """Lets the model write."""
        from runtime.wire.params import write_params

        call = self._call(wire.Generated, _result)
        op = wire.Generate(call.number, write_params(params), top_logprobs, logprob_start, self._label)
        return self._ask(call, op)

    def score(
        self, choices: Sequence[str], choose: Choose, *, unconditional: bool = False, priority: int = 0
    ) -> Handle[Scores]:
        """Scores texts as continuations.

        The server chooses where `choose` is a `runtime.choosing.Choosing`; any other function is called here, which
        costs a round trip.

        Raises:
            InvalidParameter: no choice, or an empty one.
        """
        if not choices or not all(isinstance(choice, str) and choice for choice in choices):
            raise InvalidParameter("choices", choices, "at least one non-empty string")
        known = choose if isinstance(choose, Choosing) else None
        call = self._call(wire.Scored, _result)
        call.choose = None if known is not None else choose
        op = wire.Score(call.number, tuple(choices), known, self._label, unconditional, priority)
        return self._ask(call, op)

    def fork(self, n: int) -> list[BackendSession]:
        """Sessions that begin with everything this one holds at this point of the script.

        Raises:
            InvalidParameter: n is not a positive integer.
        """
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise InvalidParameter("n", n, "an integer of at least 1")
        children = [EndpointSession(self._owner, self._connection, None) for _ in range(n)]
        with self._lock:
            if not self._has_ended():
                self._record(wire.Fork(tuple(child._number for child in children)))
                self.flush()  # before anything that the forks send, their end included
                return list(children)
        for child in children:  # the server never hears of them
            child._cancelled, child._is_known = True, False
            child._finalizer.detach()
        return list(children)

    def concat(self, sessions: Sequence[BackendSession]) -> Handle[int]:
        """Appends what forks of this session hold beyond the fork.

        Raises:
            InvalidParameter: one of them is not a session of this connection.
        """
        numbers = []
        for session in sessions:
            if not isinstance(session, EndpointSession) or session._connection is not self._connection:
                raise InvalidParameter("sessions", session, "forks of this session")
            session.flush()
            numbers.append(session._number)
        call = self._call(wire.Counted, _num_tokens)
        handle = self._ask(call, wire.Concat(call.number, tuple(numbers)))
        self.flush()  # before anything that the forks are told from now on
        return handle

    def tokens(self) -> Handle[list[tuple[int, str]]]:
        """Token ids with their origin."""
        call = self._call(wire.Listed, _listed)
        return self._ask(call, wire.Tokens(call.number))

    def mark(self) -> Handle[int]:
        """Number of tokens here."""
        call = self._call(wire.Counted, _num_tokens)
        return self._ask(call, wire.Mark(call.number))

    def truncate(self, num_tokens: int) -> None:
        """Back to that many tokens."""
        self._record(wire.Truncate(num_tokens))

    def hint(self, hint: Hint) -> None:
        """What is known at this point of the script."""
        self._record(hint)

    def flush(self) -> None:
        """Sends what was recorded."""
        with self._lock:
            if not self._ops:
                return
            ops, self._ops, self._num_bytes = tuple(self._ops), [], 0
            calls, self._calls = self._calls, []
            self._connection.send([wire.Script(self._number, ops)], calls)  # under the lock: scripts stay in order

    def cancel(self) -> None:
        """Ends everything unfinished; only `close` may follow."""
        with self._lock:
            self.flush()
            self._cancelled = True
            if self._is_known:
                self._connection.cancel(self._number)

    def close(self) -> None:
        """Gives up the session when its script has ended."""
        with self._lock:
            if self._finalizer.detach() is not None:
                self._ops.append(wire.Close())
                self.flush()
            self._closed = True

    def _call(self, answer: type, read: Callable[[Any], Any]) -> Call:
        handle: Handle[Any] = Handle(_flush=self.flush)
        return Call(self._connection.number(), self._number, handle, answer, read)

    def _ask(self, call: Call, op: wire.Op) -> Handle[Any]:
        """Records an operation that is answered."""
        self._record(op, call)
        return call.handle

    def _record(self, op: wire.Op, call: Call | None = None) -> None:
        """Records an operation; one that comes after the end does nothing but fail its call."""
        size = size_of(op)
        with self._lock:
            if not self._has_ended():
                if self._num_bytes + size > MOST_BYTES:
                    self.flush()
                self._num_bytes += size
                self._ops.append(op)
                if call is not None:
                    self._calls.append(call)
                return
        if call is not None:
            call.handle.fail(RequestCancelled(f"the session was {'cancelled' if self._cancelled else 'closed'}"))

    def _has_ended(self) -> bool:
        return self._cancelled or self._closed


def _result(message: wire.Generated | wire.Scored) -> Generation | Scores:
    return message.result


def _num_tokens(message: wire.Counted) -> int:
    return message.num_tokens


def _listed(message: wire.Listed) -> list[tuple[int, str]]:
    return list(message.tokens)
