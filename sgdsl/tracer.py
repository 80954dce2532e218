"""Tracer: runs a program once with symbols for what only a run can know, and keeps what it says as a graph."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import Parameter as Signature
from typing import TYPE_CHECKING, Any, NoReturn, cast

from sgdsl.awaited import Awaited
from sgdsl.backends.base import BackendSession, Capabilities
from sgdsl.chat import ChatTemplate, Conversation
from sgdsl.errors import TraceError
from sgdsl.ir import Arg, Call, Const, Gen, Graph, Instruction, Node, Parameter, Select, SetVar, VarRef
from sgdsl.outcome import Outcome, ready
from sgdsl.process import loop
from sgdsl.run import Run
from sgdsl.source import Source, raised_at, reader
from sgdsl.state import ProgramState
from sgdsl.step import Step
from sgdsl.stream import Stream
from sgdsl.symbols import Opaque, Symbol, has_symbols, symbol, template

if TYPE_CHECKING:
    from sgdsl.backends.base import Backend
    from sgdsl.program import Program

__all__ = ["trace"]


def trace(program: Program, arguments: Mapping[str, Any], *, partial: bool = False, fix_defaults: bool = True) -> Graph:
    """The graph of a program.

    Args:
        arguments: values the graph is made for; the program may do with them what it likes. What is missing is a
            symbol, unless it has a default that is no text: then the graph is made for that.
        partial: give the graph up to where the program asks for what only a run knows, instead of raising.
        fix_defaults: False makes symbols of everything that is missing.

    Raises:
        TraceError: the program needs a value that is not there, or fails while it is traced; names the line.
        TypeError: an argument the program does not have.
    """
    given = {**program.bound, **arguments}
    program.signature.bind_partial(**given)
    parameters = tuple(_parameter(one, given, fix_defaults) for one in _named(program))
    run = _TraceRun(program.name, _TraceBackend(), loop(), is_async=program.is_async)
    values = {p.name: p.default if p.is_fixed else symbol(Arg(p.name)) for p in parameters}
    returned, error = _performed(program, run, values)
    if error is not None and not partial:
        raise error
    result = Const(None) if error is not None else template(returned)
    stopped = None if error is None else error.reason
    return Graph(
        name=program.name, parameters=parameters, instructions=tuple(run.instructions), result=result, stopped=stopped
    )


def _named(program: Program) -> list[Signature]:
    found = program.signature.parameters.values()
    return [one for one in found if one.kind not in (Signature.VAR_POSITIONAL, Signature.VAR_KEYWORD)]


def _parameter(parameter: Signature, given: Mapping[str, Any], fix_defaults: bool) -> Parameter:
    if parameter.name in given:
        return Parameter(name=parameter.name, default=given[parameter.name], is_fixed=True)
    if parameter.default is Signature.empty:
        return Parameter(name=parameter.name, is_required=True)
    is_fixed = fix_defaults and not isinstance(parameter.default, str)
    return Parameter(name=parameter.name, default=parameter.default, is_fixed=is_fixed)


def _performed(program: Program, run: _TraceRun, values: Mapping[str, Any]) -> tuple[Any, TraceError | None]:
    """What the function returns, and why it was left before its end."""
    rest = dict(values)
    positional = [rest.pop(p.name) for p in _named(program) if p.kind is Signature.POSITIONAL_ONLY]
    returned = None
    try:
        with run.entered():
            returned = program.func(ProgramState(run.main), *positional, **rest)
            if inspect.iscoroutine(returned):
                returned = _awaited(returned)
            template(returned)
    except TraceError as error:
        return None, run.stopped or error
    except Exception as error:  # of a symbol where only a value fits, or the program's own
        failure = TraceError(f"{type(error).__name__} while it was traced: {error}", raised_at(error.__traceback__))
        failure.__cause__ = error
        return None, run.stopped or failure
    finally:
        run.close()
    return returned, run.stopped


def _awaited(work: Coroutine[Any, Any, Any]) -> Any:
    """Runs a coroutine to its end, whether or not an event loop is running in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    found: list[Any] = []
    context = contextvars.copy_context()

    def perform() -> None:
        try:
            found.append((context.run(asyncio.run, work), None))
        except Exception as error:
            found.append((None, error))

    thread = threading.Thread(target=perform, name="sgdsl-trace")
    thread.start()
    thread.join()
    value, error = found[0]
    if error is not None:
        raise error
    return value


class _TraceBackend:
    """Allows everything; nothing ever runs on it."""

    name = "trace"
    chat_template: ChatTemplate | None = None
    capabilities = Capabilities(priority=True, images=True, concat=True)

    def open(self, *, namespace: str = "", program: str = "") -> BackendSession:
        """Never called: traced streams execute nothing."""
        raise RuntimeError("a trace opens no session")

    def token_text(self, token: int) -> str:
        """Never called."""
        raise RuntimeError("a trace has no tokens")

    def close(self) -> None:
        """Nothing to give up."""


@dataclass(eq=False)
class _TraceRun(Run):
    """A run that keeps instructions instead of executing them.

    Attributes:
        instructions: of all streams, in order.
        stopped: what the graph ends with; set even where the program catches it.
    """

    instructions: list[Instruction] = field(default_factory=list)
    stopped: TraceError | None = None

    def new_stream(self, index: int, conversation: Conversation) -> Stream:
        """One that records symbols."""
        return _TraceStream(self, index, conversation)

    def stop(self, error: TraceError) -> NoReturn:
        """The graph ends here."""
        self.stopped = self.stopped or error
        raise error

    def keep(self, stream: int, node: Node, source: Source | None) -> int:
        """One more instruction; its index."""
        if self.stopped is not None:
            raise self.stopped
        self.instructions.append(Instruction(stream, node, source))
        return len(self.instructions) - 1

    def lend(self, name: str) -> Backend:
        """Another program is to be run on its own, not called."""
        self.stop(TraceError(f"running {name} inside needs a backend", reader(), "calling it puts it into the graph"))

    def call(self, program: Program, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """A called program becomes a graph inside this one; symbols among its arguments stay symbols."""
        bound = program.signature.bind(*args, **{**program.bound, **kwargs}).arguments
        fixed = {name: value for name, value in bound.items() if not has_symbols(value)}
        graph, returned = _inner(program, fixed, [name for name in bound if name not in fixed])
        arguments = tuple((name, template(value)) for name, value in bound.items() if name not in fixed)
        index = self.keep(0, Call(graph, arguments), reader())
        value = _seen_from_outside(returned, index, ())
        return _as_awaitable(value) if self.is_async else value


def _inner(program: Program, fixed: Mapping[str, Any], symbolic: Sequence[str]) -> tuple[Graph, Any]:
    rest = {p.name for p in _named(program)} - set(symbolic) - set(fixed)
    defaults = {p.name: p.default for p in _named(program) if p.name in rest}
    values = {**defaults, **fixed, **{name: symbol(Arg(name)) for name in symbolic}}
    run = _TraceRun(program.name, _TraceBackend(), loop(), is_async=program.is_async)
    returned, error = _performed(program, run, values)
    if error is not None:
        raise error
    parameters = tuple(
        Parameter(name=p.name, is_required=True)
        if p.name in symbolic
        else Parameter(name=p.name, default=values[p.name], is_fixed=True)
        for p in _named(program)
    )
    made = Graph(
        name=program.name, parameters=parameters, instructions=tuple(run.instructions), result=template(returned)
    )
    return made, returned


def _seen_from_outside(value: Any, call: int, path: tuple[int | str, ...]) -> Any:
    """What a called program returned, its symbols as references to the call."""
    if isinstance(value, Opaque):
        return Opaque(VarRef(call, "", path))
    if has_symbols(value) and isinstance(value, list | tuple):
        return type(value)(_seen_from_outside(one, call, (*path, place)) for place, one in enumerate(value))
    if has_symbols(value) and isinstance(value, dict):
        return {key: _seen_from_outside(one, call, (*path, key)) for key, one in value.items()}
    return symbol(VarRef(call, "", path)) if has_symbols(value) else value


async def _as_awaitable(value: Any) -> Any:
    return value


class _TraceStream(Stream):
    """Every outcome is there at once, as symbols."""

    @property
    def _trace(self) -> _TraceRun:
        return cast(_TraceRun, self.run)

    def advance(self) -> None:
        """Nothing is executed."""
        self.queue.clear()

    def _commit(self, step: Step) -> None:
        self._last = self._trace.keep(self.index, cast(Node, step.node), step.source)
        if step.outcome is not None:
            step.outcome.finish(Outcome(None))
        super()._commit(step)
        self.unfinished.clear()

    def _bind_outcome(self, node: Node | Awaited, outcome: object) -> None:
        if isinstance(node, Select):
            self._bind_symbol(node.name, is_text=True, samples=1)
        elif isinstance(node, Gen):
            is_text = node.typed is None or node.typed.type is str
            self._bind_symbol(node.name, is_text=is_text, samples=node.sampling.n or 1)
            self._bind_symbol(node.reasoning_name, is_text=True, samples=node.sampling.n or 1)

    def _bind_symbol(self, name: str | None, *, is_text: bool, samples: int) -> None:
        if name is None:
            return
        origin = self._last

        def made(make: Callable[[VarRef], Any], form: Any) -> Any:
            if samples == 1:
                return make(VarRef(origin, name, (), form))
            return [make(VarRef(origin, name, (place,), form)) for place in range(samples)]

        value = made(symbol if is_text else Opaque, "value")
        self.bind(name, ready(Outcome(value, made(symbol, "text"), made(Opaque, "meta"))))

    def _end_scope(self, name: str) -> None:
        self._close_scope(name)
        self._bind_symbol(name, is_text=True, samples=1)

    def set_var(self, name: str, value: Any, source: Source | None) -> None:
        """The graph keeps the value."""
        self.record([SetVar(name, template(value))], source)
        text = value if isinstance(value, Symbol | str) else None
        self.bind(name, ready(Outcome(value, text)))

    def require_text(self, what: str) -> None:
        """The text is there only when the program runs."""
        self._trace.stop(TraceError(f"{what} is there only when the program runs", reader()))
