"""Recording: how one run tells a record what happens in it. The interpreter calls it where a run has one.

It asks the backend for nothing that changes the run: only the token ids where a gen, a select or a fork is handed over.
"""

from __future__ import annotations

import functools
import inspect
import logging
import reprlib
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ParamSpec, TypeAlias

from runtime.handle import Chunk, Handle
from sgdsl import ir
from sgdsl.awaited import Awaited
from sgdsl.errors import ProgramCancelled, ProgramError, ProgramTimeout
from sgdsl.record import results as made
from sgdsl.record.entries import (
    Ended,
    Failed,
    Failure,
    FirstToken,
    HandedOver,
    Instruction,
    RunBegun,
    RunEnded,
    StreamBegun,
)  # fmt: skip
from sgdsl.record.spelling import Spelling, clean
from sgdsl.source import is_program

if TYPE_CHECKING:
    from sgdsl.outcome import Outcome
    from sgdsl.program import Program
    from sgdsl.record.sink import Sink
    from sgdsl.run import Run
    from sgdsl.step import Step
    from sgdsl.stream import Stream

__all__ = ["Recording"]

_log = logging.getLogger("sgdsl.record")
P = ParamSpec("P")
Held: TypeAlias = Handle[list[tuple[int, str]]]
"""Token ids of a session with their origins, in the making."""


def _harmless(method: Callable[P, None]) -> Callable[P, None]:
    """A fault in recording is reported, and the program goes on without the entry."""

    @functools.wraps(method)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(*args, **kwargs)
        except Exception:
            _log.exception("something that happened in a run could not be recorded")

    return guarded


class Recording:
    """The part of a record that one run writes.

    Args:
        sink: where entries go.
        run: the run.
        outer: the recording of the run that called this one.
    """

    def __init__(self, sink: Sink, run: Run, outer: Recording | None = None) -> None:
        self._sink = sink
        self._run = run
        self._outer: int | None = None if outer is None else outer.number
        self.number: int = sink.next_run()
        self._spelling = Spelling(run.backend.token_text)
        self._ids: dict[Step, int] = {}
        self._over: set[Step] = set()
        self._early: dict[Step, list[HandedOver | FirstToken | Ended | Failed]] = {}  # of steps that were foreseen
        self._num_instructions = 0
        # Asked for when the step was handed over, and whether its stream was rolled back since the step before.
        self._prompts: dict[Step, tuple[Held, bool]] = {}
        self._forks: dict[int, Held] = {}  # by the fork's stream, what it began with
        # By stream: the tokens before its last call, and how many of the stream's tokens entries have named.
        self._named: dict[int, tuple[Sequence[tuple[int, str]], int]] = {}
        self._rolled_back: set[int] = set()
        self._is_open = False
        self._lock = threading.Lock()

    def nested(self, run: Run) -> Recording:
        """The recording of a run that this one's program has called."""
        return Recording(self._sink, run, self)

    # the run

    def around(self) -> AbstractContextManager[None]:
        """What the sink wants to hold while the program executes, or opens sessions."""
        return self._sink.around(self.number)

    @_harmless
    def begin(self, program: Program, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """The program's function is about to be called."""
        backend = self._run.backend
        model = getattr(backend, "model", None)  # not every backend is one of a model
        code = getattr(inspect.unwrap(program.func), "__code__", None)
        if code is not None and not is_program(code.co_filename):  # a compiled program has no line of its own
            code = None
        self._sink.acquire()
        self._is_open = True
        self._sink.write(
            RunBegun(
                run=self.number, seconds=self._sink.now(), program=program.name, outer=self._outer,
                file="" if code is None else code.co_filename, line=0 if code is None else code.co_firstlineno,
                arguments=_arguments(program, args, kwargs), backend=backend.name,
                model=model if isinstance(model, str) else None,
            )
        )  # fmt: skip
        self._sink.write(StreamBegun(run=self.number, stream=0, seconds=self._sink.now()))

    @_harmless
    def end(self) -> None:
        """The run is over."""
        if not self._is_open:  # it was ended before it could begin
            return
        run, error = self._run, self._run.error
        self._sink.write(
            RunEnded(
                run=self.number, seconds=self._sink.now(), status=_status(error), value=_shortened(run.value),
                variables=_variables(run.main), failure=None if error is None else _failure(error), usage=run.usage(),
            )
        )  # fmt: skip
        self._is_open = False
        self._sink.release()

    # its instructions

    @_harmless
    def recorded(self, stream: Stream, step: Step) -> None:
        """An instruction was appended to a stream."""
        with self._lock:
            number, self._num_instructions = self._num_instructions, self._num_instructions + 1
            self._ids[step] = number
            early = self._early.pop(step, ())
        seconds = self._sink.now()
        self._sink.write(self._instruction(number, stream, step, seconds))
        if isinstance(step.node, ir.Fork):
            for child in step.node.children:
                entry = StreamBegun(
                    run=self.number, stream=child, seconds=seconds, parent=stream.index, at=number
                )  # fmt: skip
                self._sink.write(entry)
        for made_before in early:
            self._sink.write(replace(made_before, id=number))

    def _put(self, step: Step, entry: HandedOver | FirstToken | Ended | Failed) -> None:
        """Writes what became of a step; of one that was foreseen, as soon as the program has come to it."""
        with self._lock:
            number = self._ids.get(step)
            if number is None:
                self._early.setdefault(step, []).append(entry)
        if number is not None:
            self._sink.write(replace(entry, id=number))

    def _instruction(self, number: int, stream: Stream, step: Step, seconds: float) -> Instruction:
        given: dict[str, Any] = {}
        match step.node:
            case ir.Gen() as gen:
                kind = None if gen.constraint is None else type(gen.constraint).__name__
                given = {"name": gen.name, "sampling": gen.sampling.over(self._run.sampling), "constraint": kind}
            case ir.Select(name=name, choices=choices):
                given = {"name": name, "choices": tuple(clean(choice) for choice in choices)}
            case ir.RoleBegin(role=name) | ir.RoleEnd(role=name) | ir.ScopeBegin(name=name) | ir.ScopeEnd(name=name):
                given = {"name": name}
            case ir.Fork(children=children) | ir.Concat(children=children):
                given = {"streams": children}
            case ir.Join(children=children, names=names):
                given = {"streams": children, "names": names}
            case Awaited(name=name):
                given = {"name": name}
            case ir.Checkpoint(index=index) | ir.Rollback(index=index):
                given = {"checkpoint": index}
        return Instruction(
            run=self.number, id=number, stream=stream.index, seconds=seconds, kind=_kind(step.node),
            source=step.source, text=clean(step.text), **given,
        )  # fmt: skip

    @_harmless
    def handing_over(self, stream: Stream, step: Step) -> None:
        """The stream's next instruction goes to the backend."""
        if step.only_waits:
            return
        if isinstance(step.node, ir.Gen | ir.Select | ir.Fork) and self._run.backend.capabilities.tokens:
            stream.put_held()  # as the instruction itself would
            held = stream.live_session.tokens()
            if isinstance(step.node, ir.Fork):
                self._forks.update((child, held) for child in step.node.children)
            else:
                self._prompts[step] = (held, stream.index in self._rolled_back)
                self._rolled_back.discard(stream.index)
        if isinstance(step.node, ir.Rollback):
            self._rolled_back.add(stream.index)
        self._put(step, HandedOver(run=self.number, id=-1, seconds=self._sink.now()))
        if isinstance(step.node, ir.Gen) and step.outcome is not None:
            self._watch(step, step.outcome)

    def _watch(self, step: Step, outcome: Handle[Outcome]) -> None:
        waiting = [True]

        def arrived(chunk: Chunk | None) -> None:
            if chunk is not None and waiting[0]:
                waiting[0] = False
                self._put(step, FirstToken(run=self.number, id=-1, seconds=self._sink.now()))

        outcome.subscribe(arrived)

    @_harmless
    def ended(self, stream: Stream, step: Step, results: Sequence[Any], outcome: Outcome) -> None:
        """An instruction came to its end: `results` are the backend's, `outcome` is what they come to."""
        held, is_rolled_back = self._prompts.pop(step, (None, False))
        answer = made.Answer.of(step.node, results)
        prompt: list[int] = []
        start = 0
        if held is not None and held.done() and held.error() is None:
            tokens = held.result()
            start = self._first_unnamed(stream, tokens, is_rolled_back)
            prompt = [token for token, _ in tokens[start : answer.prompt_tokens]]  # the last may be spelled anew
            self._named[stream.index] = (tokens, answer.prompt_tokens + len(answer.kept))
        entry = made.entry(
            answer, self._spelling, run=self.number, seconds=self._sink.now(), text=outcome.text, start=start,
            prompt=prompt,
        )  # fmt: skip
        self._over.add(step)
        self._put(step, entry)

    def _first_unnamed(self, stream: Stream, tokens: Sequence[tuple[int, str]], is_rolled_back: bool) -> int:
        """The position of the first of a stream's tokens that no entry has named yet."""
        held = self._forks.pop(stream.index, None)
        if held is not None and held.done() and held.error() is None:
            self._named.setdefault(stream.index, (held.result(), len(held.result())))
        known, num_named = self._named.get(stream.index, ((), 0))
        if not is_rolled_back:
            return min(num_named, len(tokens))
        shared = min(len(known), len(tokens))
        return next((place for place in range(shared) if known[place] != tokens[place]), shared)

    @_harmless
    def failed(self, steps: Sequence[Step], error: ProgramError, cause: Step | None) -> None:
        """Instructions will not come to their end, because of `cause` or of something outside."""
        failing = dict.fromkeys([*steps, *(() if cause is None else (cause,))])
        for step in [step for step in failing if step not in self._over and not step.only_waits]:
            self._over.add(step)
            self._prompts.pop(step, None)
            entry = Failed(
                run=self.number, id=-1, seconds=self._sink.now(), failure=_failure(error), is_cause=step is cause
            )  # fmt: skip
            self._put(step, entry)


def _kind(node: ir.Node | Awaited) -> str:
    """RoleBegin → role_begin."""
    name = type(node).__name__
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name).removeprefix("_")


def _arguments(program: Program, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    with suppress(TypeError):
        bound = program.signature.bind(*args, **{**program.bound, **kwargs})
        return tuple((name, _shortened(value)) for name, value in bound.arguments.items())
    return ()


def _shortened(value: object) -> str:
    """A `repr` of a line or two, whatever the value's own `__repr__` does."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = 200
    try:
        return clean(short.repr(value))
    except Exception as error:
        return f"<{type(value).__name__}, whose repr raises {type(error).__name__}>"


def _status(error: ProgramError | None) -> str:
    if error is None:
        return "completed"
    if isinstance(error, ProgramTimeout):
        return "timeout"
    return "cancelled" if isinstance(error, ProgramCancelled) else "failed"


def _failure(error: ProgramError) -> Failure:
    """The original error, where the program's has one."""
    cause = error.__cause__ or error
    message = str(error)
    if error.source is not None:
        message = message.removeprefix(f"{error.source}: ")
    message = message.removeprefix(f"{type(cause).__name__}: ")
    return Failure(type=type(cause).__name__, message=clean(message), source=error.source)


def _variables(stream: Stream) -> tuple[tuple[str, str], ...]:
    """Every name that has come to a value."""
    ended = [(name, handle) for name, handle in list(stream.variables.items()) if handle.done()]
    return tuple((name, _shortened(handle.result().value)) for name, handle in ended if handle.error() is None)
