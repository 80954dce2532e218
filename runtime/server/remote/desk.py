"""Desk: in the engine's process, makes scripts of the engine of what the server says, and sends back what comes."""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from typing_extensions import override

from runtime.concat import Concat
from runtime.errors import RequestCancelled
from runtime.handle import Chunk, Handle
from runtime.hint import Hint
from runtime.inventory import inventory
from runtime.pinning import Pin
from runtime.scoring import Score
from runtime.script import Append, Foretell, Fork, Generate, Mark, Op, Tokens, Truncate
from runtime.server.remote import messages as link
from runtime.server.remote.asked_score import AskedScore
from runtime.server.remote.held import Ending, Held, Refused
from runtime.session_state import SessionState
from runtime.wire import messages as wire
from runtime.wire.errors import problem_of
from runtime.wire.params import read_params, read_spec

if TYPE_CHECKING:
    from runtime.core import EngineCore
    from runtime.engine import Engine
    from runtime.session import Session

__all__ = ["Desk"]

log = logging.getLogger("sgdsl.engine")

Say = Callable[[Any], None]
Answer = Callable[[int, Any], Any]


class Desk:
    """Takes frames in the channel's thread. All that touches a session is done in the engine's.

    Args:
        engine: answers questions about itself.
        core: the inside of that engine.
        say: sends a message back.
        stop: called when the server wants an end of it.
    """

    def __init__(self, engine: Engine, core: EngineCore, say: Say, stop: Callable[[], None]) -> None:
        self._engine = engine
        self._core = core
        self._say = say
        self._stop = stop
        self._sessions: dict[int, Held] = {}
        self._concats: dict[int, Concat] = {}
        self._asked: dict[int, AskedScore] = {}

    def take(self, frame: bytes) -> None:
        """Does what the messages of a frame say."""
        for message in link.read_from_server(frame):
            try:
                _TAKE[type(message)](self, message)
            except Exception:  # a bug of ours; what comes behind it shall not suffer
                log.exception("%s could not be done", type(message).__name__)

    # messages

    def _script(self, message: link.Script) -> None:
        held = self._sessions.get(message.session)
        begun = message.ops
        if held is None:
            if not isinstance(begun[0], wire.Open):  # it has ended
                self._miss(begun)
                return
            held = self._open(message.session, begun[0])
            begun = begun[1:]
        ops = [self._op(message.session, held, op) for op in begun]
        state = held.state
        self._core.post(lambda: self._core.enqueue(state, ops))

    def _miss(self, ops: Sequence[link.Op]) -> None:
        """The session has ended: whoever waits for something of it is told."""
        for op in ops:
            error = RequestCancelled("cancelled")
            if not isinstance(op, link.Part):
                self._failed(getattr(op, "call", None), error)
            elif (concat := self._concats.get(op.call)) is not None:
                self._core.post(partial(concat.abandon, error))

    def _open(self, number: int, op: wire.Open) -> Held:
        held = self._hold(number, SessionState(op.namespace, op.program))
        self._core.post(partial(self._core.sessions.take_up, held.state))
        return held

    def _hold(self, number: int, state: SessionState) -> Held:
        held = self._sessions[number] = Held(self._core, state)
        return held

    def _cancel(self, message: wire.Cancel) -> None:
        held = self._sessions.get(message.session)
        if held is not None:
            self._core.post(partial(self._core.cancel, held.state))

    def _leave(self, message: link.Leave) -> None:
        self._sessions.pop(message.session, None)

    def _chosen(self, message: wire.Chosen) -> None:
        asked = self._asked.pop(message.call, None)
        if asked is not None:
            self._core.post(partial(asked.choose_now, message.index))

    def _compile_ahead(self, message: wire.CompileAhead) -> None:
        self._engine.compile_ahead([read_spec(one) for one in message.constraints])

    def _ask(self, message: link.Ask) -> None:
        self._core.post(partial(self._answer, message.call, partial(_ANSWERS[message.question], self)))

    def _cache(self, message: link.Cache) -> None:
        look = partial(inventory, self._core, message.limit, message.namespace)
        self._core.post(partial(self._answer, message.call, look))

    def _unpin(self, message: link.Unpin) -> None:
        self._core.post(partial(self._answer, message.call, partial(self._core.pins.remove, message.pin)))

    def _answer(self, call: int, make: Callable[[], Any]) -> None:
        try:
            self._say(link.Value(call, make()))
        except Exception as error:
            self._say(wire.Failed(call, problem_of(error)))

    def _stats(self) -> dict[str, Any]:
        return self._engine.stats()

    def _server_info(self) -> dict[str, Any]:
        return {**self._engine.server_info(), "engine_pid": os.getpid()}

    def _flush_cache(self) -> int:
        return self._core.flush_cache()

    def _ping(self, message: link.Ping) -> None:
        self._core.post(partial(self._say, link.Pong(message.number)))

    def _halt(self, message: link.Stop) -> None:
        self._stop()

    # operations

    def _op(self, number: int, held: Held, op: link.Op) -> Op:
        try:
            made: Op = _MAKE[type(op)](self, number, held, op)
        except Exception as error:  # the request's own; told when its turn comes
            return Refused(error, partial(self._failed, getattr(op, "call", None)))
        return made

    def _append(self, number: int, held: Held, op: wire.Append) -> Op:
        return Append(cast("tuple[int, ...]", op.content))

    def _generate(self, number: int, held: Held, op: wire.Generate) -> Op:
        params = read_params(op.params)
        return Generate(params, self._followed(op.call, wire.Generated), op.top_logprobs, op.logprob_start)

    def _score(self, number: int, held: Held, op: link.ScoreIds) -> Op:
        handle = self._followed(op.call, wire.Scored)
        if op.choosing is not None:
            return Score(op.tail, op.alternatives, op.choosing, handle, op.unconditional, op.priority)
        asked = AskedScore(
            op.tail, op.alternatives, _unasked, handle, op.unconditional, op.priority,
            ask=lambda rows: self._say(wire.Rows(op.call, rows)),
        )  # fmt: skip
        self._keep(self._asked, op.call, asked, handle)
        return asked

    def _fork(self, number: int, held: Held, op: wire.Fork) -> Op:
        own = held.state
        states = [SessionState(own.namespace, own.program, own.run) for _ in op.sessions]
        for child, state in zip(op.sessions, states, strict=True):
            state.is_suspended = True
            state.fork_of = weakref.ref(own)
            self._hold(child, state)
        return Fork(states, cast("Session", held))

    def _gather(self, number: int, held: Held, op: link.Gather) -> Op:
        handle = self._followed(op.call, wire.Counted)
        forks = [self._sessions.get(one) for one in op.sessions]  # one that has ended fails where its part is missed
        concat = Concat(handle, cast("list[Session]", forks))
        self._keep(self._concats, op.call, concat, handle)
        return concat

    def _part(self, number: int, held: Held, op: link.Part) -> Op:
        concat = self._concats.get(op.call)
        return _Nothing() if concat is None else concat.parts[op.place]

    def _tokens(self, number: int, held: Held, op: wire.Tokens) -> Op:
        return Tokens(self._followed(op.call, lambda call, tokens: wire.Listed(call, tuple(tokens))))

    def _mark(self, number: int, held: Held, op: wire.Mark) -> Op:
        return Mark(self._followed(op.call, wire.Counted))

    def _pin(self, number: int, held: Held, op: link.Pinned) -> Op:
        return Pin(self._followed(op.call, link.Value), op.ttl_seconds)

    def _truncate(self, number: int, held: Held, op: wire.Truncate) -> Op:
        return Truncate(op.num_tokens)

    def _hint(self, number: int, held: Held, op: Hint) -> Op:
        return Foretell(op)

    def _close(self, number: int, held: Held, op: wire.Close) -> Op:
        return Ending(partial(self._sessions.pop, number, None))

    # answers

    def _followed(self, call: int, answer: Answer) -> Handle[Any]:
        """A handle whose chunks and end are sent."""
        handle: Handle[Any] = Handle()

        def arrived(chunk: Chunk | None) -> None:
            if chunk is not None:
                self._say(wire.Streamed(call, chunk))
                return
            error = handle.error()
            self._say(answer(call, handle.result()) if error is None else wire.Failed(call, problem_of(error)))

        handle.subscribe(arrived)
        return handle

    def _failed(self, call: int | None, error: BaseException) -> None:
        if call is not None:
            self._say(wire.Failed(call, problem_of(error)))

    @staticmethod
    def _keep(table: dict[int, Any], call: int, op: Op, handle: Handle[Any]) -> None:
        """Has an operation found by its call until it has ended."""
        table[call] = op
        handle.subscribe(lambda chunk: table.pop(call, None) if chunk is None else None)


class _Nothing(Op):
    @override
    def begin(self, core: EngineCore, session: SessionState) -> None:
        pass


def _unasked(rows: Sequence[Sequence[float]]) -> int:
    raise AssertionError("the server chooses")


_TAKE: Mapping[type, Callable[[Desk, Any], None]] = MappingProxyType(
    {
        link.Script: Desk._script,
        wire.Cancel: Desk._cancel,
        link.Leave: Desk._leave,
        wire.Chosen: Desk._chosen,
        wire.CompileAhead: Desk._compile_ahead,
        link.Ask: Desk._ask,
        link.Cache: Desk._cache,
        link.Unpin: Desk._unpin,
        link.Ping: Desk._ping,
        link.Stop: Desk._halt,
    }
)
_MAKE: Mapping[type, Callable[[Desk, int, Held, Any], Op]] = MappingProxyType(
    {
        wire.Append: Desk._append,
        wire.Generate: Desk._generate,
        link.ScoreIds: Desk._score,
        wire.Fork: Desk._fork,
        link.Gather: Desk._gather,
        link.Part: Desk._part,
        wire.Tokens: Desk._tokens,
        wire.Mark: Desk._mark,
        link.Pinned: Desk._pin,
        wire.Truncate: Desk._truncate,
        Hint: Desk._hint,
        wire.Close: Desk._close,
    }
)
_ANSWERS: Mapping[str, Callable[[Desk], Any]] = MappingProxyType(
    {"stats": Desk._stats, "server_info": Desk._server_info, "flush_cache": Desk._flush_cache}
)
