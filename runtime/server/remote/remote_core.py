"""RemoteCore: what `runtime.session.Session` needs of an engine's inside, for an engine in another process."""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec

from runtime.choosing import Choosing
from runtime.concat import Concat, Part
from runtime.errors import EngineClosed, InvalidParameter, anew
from runtime.handle import Handle
from runtime.pinning import Pin
from runtime.scoring import Choose, Score
from runtime.script import Append, Close, Foretell, Fork, Generate, Mark, Op, Tokens, Truncate
from runtime.server.remote import messages as link
from runtime.wire import messages as wire
from runtime.wire.errors import error_of
from runtime.wire.params import write_params

if TYPE_CHECKING:
    from runtime.constant_texts import ConstantTexts
    from runtime.session_state import SessionState

__all__ = ["RemoteCore"]

SEEDS = 1 << 64
"""Seeds that differ by as much are the same to the engine."""


@dataclass(eq=False, slots=True)
class _Waiting:
    """Somebody waits for a call.

    Attributes:
        handle: what they wait with.
        choose: of a score whose method only this process knows.
        read: makes the result of an answer's plain data.
    """

    handle: Handle[Any]
    choose: Choose | None = None
    read: Callable[[Any], Any] | None = None


class RemoteCore:
    """Turns scripts into messages, and answers into what handles are given. It lives as long as one engine process.

    Args:
        constants: texts whose tokens are known.
        say: sends a message to the engine; takes no lock.
    """

    def __init__(self, constants: ConstantTexts, say: Callable[[Any], None]) -> None:
        self.constants = constants
        self._say = say
        self._numbers: weakref.WeakKeyDictionary[SessionState, int] = weakref.WeakKeyDictionary()
        self._calls: dict[int, _Waiting] = {}
        self._concats: dict[Concat, int] = {}
        self._count = itertools.count(1)
        self._lock = threading.Lock()
        self._error: EngineClosed | None = None

    @property
    def is_waited_for(self) -> bool:
        """Whether anybody waits for the engine."""
        return bool(self._calls)

    # what a session needs

    def post(self, action: Callable[[], None]) -> None:
        """Here and now: what a script's messages are sent in is the order in which this is called."""
        action()

    def open(self, session: SessionState) -> None:
        """Begins a session, empty."""
        number = self._numbers[session] = next(self._count)
        program = session.program.encode(errors="backslashreplace").decode()  # is there for messages only
        self._say(link.Script(number, (wire.Open(session.namespace, program),)))

    def enqueue(self, session: SessionState, ops: list[Op]) -> None:
        """Sends more of a session's script."""
        if self._error is None:
            calls: dict[int, _Waiting] = {}
            try:
                written = [one for op in ops if (one := _WRITE[type(op)](self, op, calls)) is not None]
                message = msgspec.Raw(link.encode(link.Script(self._numbers[session], tuple(written))))
            except (UnicodeEncodeError, OverflowError) as error:
                refused = InvalidParameter("script", str(error), "proper texts, and integers of 64 bits")
                self._abandon(ops, refused)
                self.cancel(session)
                return
            if self._sent(message, calls):
                return
        self._abandon(ops, self._error or EngineClosed("the engine has ended"))

    def _sent(self, message: Any, calls: Mapping[int, _Waiting]) -> bool:
        with self._lock:
            if self._error is not None:
                return False
            self._calls.update(calls)
            self._say(message)
        return True

    def _abandon(self, ops: Sequence[Op], error: BaseException) -> None:
        for op in ops:
            op.abandon(anew(error))

    def cancel(self, session: SessionState) -> None:
        """Ends whatever the session is doing and was going to do."""
        self._tell(session, wire.Cancel)

    def leave(self, session: SessionState) -> None:
        """Has a session ended whose last user is gone."""
        self._tell(session, link.Leave)

    def _tell(self, session: SessionState, message: Callable[[int], Any]) -> None:
        number = self._numbers.get(session)
        if number is not None and self._error is None:
            self._say(message(number))

    # questions to the engine as a whole

    def tell(self, message: Any) -> None:
        """Sends what is not answered."""
        self._say(message)

    def ask(self, make: Callable[[int], Any], read: Callable[[Any], Any] | None = None) -> Handle[Any]:
        """Sends a question.

        Args:
            make: the message, of its call's number.
            read: the result, of the answer's plain data.
        """
        handle: Handle[Any] = Handle()
        call = next(self._count)
        if not self._sent(make(call), {call: _Waiting(handle, read=read)}):
            handle.fail(anew(self._error or EngineClosed("the engine has ended")))
        return handle

    # operations as messages

    def _call(self, handle: Handle[Any], calls: dict[int, _Waiting], choose: Choose | None = None) -> int:
        call = next(self._count)
        calls[call] = _Waiting(handle, choose)
        return call

    def _append(self, op: Append, calls: dict[int, _Waiting]) -> link.Op:
        return wire.Append(tuple(op.tokens))

    def _generate(self, op: Generate, calls: dict[int, _Waiting]) -> link.Op:
        params = write_params(op.params)
        if "seed" in params:
            params["seed"] %= SEEDS
        return wire.Generate(self._call(op.handle, calls), params, op.top_logprobs, op.logprob_start)

    def _score(self, op: Score, calls: dict[int, _Waiting]) -> link.Op:
        known = op.choose if isinstance(op.choose, Choosing) else None
        if known is not None and known.seed is not None and abs(known.seed) >= SEEDS >> 1:
            known = None  # too large to be sent, and not the same as a smaller one
        call = self._call(op.handle, calls, None if known is not None else op.choose)
        alternatives = tuple(map(tuple, op.alternatives))
        return link.ScoreIds(call, tuple(op.tail), alternatives, known, op.unconditional, op.priority)

    def _fork(self, op: Fork, calls: dict[int, _Waiting]) -> link.Op:
        for child in op.children:
            self._numbers[child] = next(self._count)
        return wire.Fork(tuple(self._numbers[child] for child in op.children))

    def _concat(self, op: Concat, calls: dict[int, _Waiting]) -> link.Op:
        call = self._call(op.handle, calls)
        self._concats[op] = call
        op.handle.subscribe(lambda chunk: self._gathered(op) if chunk is None else None)
        return link.Gather(call, tuple(self._numbers[session._state] for session in op.forks))

    def _gathered(self, op: Concat) -> None:
        self._concats.pop(op, None)

    def _part(self, op: Part, calls: dict[int, _Waiting]) -> link.Op | None:
        call = self._concats.get(op.concat)
        return None if call is None else link.Part(call, op.concat.parts.index(op))

    def _tokens(self, op: Tokens, calls: dict[int, _Waiting]) -> link.Op:
        return wire.Tokens(self._call(op.handle, calls))

    def _mark(self, op: Mark, calls: dict[int, _Waiting]) -> link.Op:
        return wire.Mark(self._call(op.handle, calls))

    def _pin(self, op: Pin, calls: dict[int, _Waiting]) -> link.Op:
        return link.Pinned(self._call(op.handle, calls), op.ttl_seconds)

    def _truncate(self, op: Truncate, calls: dict[int, _Waiting]) -> link.Op:
        return wire.Truncate(op.num_tokens)

    def _foretell(self, op: Foretell, calls: dict[int, _Waiting]) -> link.Op:
        return op.hint

    def _close(self, op: Close, calls: dict[int, _Waiting]) -> link.Op:
        return wire.Close()

    # answers

    def take(self, message: link.FromEngine) -> None:
        """Gives an answer to who waits for it."""
        waiting = self._calls.get(message.call)  # type: ignore[union-attr]
        if waiting is None:
            return
        if isinstance(message, wire.Streamed):
            waiting.handle.push(message.chunk)
        elif isinstance(message, wire.Rows):
            self._choose(message, waiting)
        else:
            self._calls.pop(message.call, None)  # type: ignore[union-attr]
            if isinstance(message, wire.Failed):
                waiting.handle.fail(error_of(message.problem))
            else:
                result = _RESULT[type(message)](message)
                waiting.handle.finish(result if waiting.read is None else waiting.read(result))

    def _choose(self, rows: wire.Rows, waiting: _Waiting) -> None:
        index: int | None = None
        try:
            if waiting.choose is not None:
                index = waiting.choose(rows.logprobs)
            if type(index) is not int or not 0 <= index < len(rows.logprobs):
                raise InvalidParameter("choose", index, f"an index in 0..{len(rows.logprobs) - 1}")
        except Exception as error:  # the method is the caller's
            index = None
            waiting.handle.fail(error)
        self._say(wire.Chosen(rows.call, index))

    def end(self, error: EngineClosed) -> None:
        """The engine is no more: everybody who waits is told."""
        with self._lock:
            self._error = self._error or error
            waiting, self._calls = list(self._calls.values()), {}
        for one in waiting:
            one.handle.fail(anew(error))


_WRITE: Mapping[type, Callable[[RemoteCore, Any, dict[int, _Waiting]], link.Op | None]] = MappingProxyType(
    {
        Append: RemoteCore._append,
        Generate: RemoteCore._generate,
        Score: RemoteCore._score,
        Fork: RemoteCore._fork,
        Concat: RemoteCore._concat,
        Part: RemoteCore._part,
        Tokens: RemoteCore._tokens,
        Mark: RemoteCore._mark,
        Pin: RemoteCore._pin,
        Truncate: RemoteCore._truncate,
        Foretell: RemoteCore._foretell,
        Close: RemoteCore._close,
    }
)
_RESULT: Mapping[type, Callable[[Any], Any]] = MappingProxyType(
    {
        wire.Generated: lambda message: message.result,
        wire.Scored: lambda message: message.result,
        wire.Counted: lambda message: message.num_tokens,
        wire.Listed: lambda message: list(message.tokens),
        link.Value: lambda message: message.value,
    }
)
