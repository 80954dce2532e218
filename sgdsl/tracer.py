"""Tracer: runs a program once with symbols for what only a run can know, and keeps what it says as a graph."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import BoundArguments
from inspect import Parameter as Signature
from typing import TYPE_CHECKING, Any, NoReturn

from sgdsl.backends.base import BackendSession, Capabilities
from sgdsl.chat import ChatTemplate, Conversation
from sgdsl.errors import ProgramError, TraceError
from sgdsl.ir import Arg, Call, Const, Entries, Graph, Instruction, Items, Node, Parameter, Value, VarRef
from sgdsl.ir.graph import values_of
from sgdsl.ir.values import NOTHING, references
from sgdsl.primitives import Expr
from sgdsl.process import loop
from sgdsl.run import Run
from sgdsl.sampling import Sampling
from sgdsl.source import Source, raised_at, reader
from sgdsl.state import ProgramState
from sgdsl.stream import Stream
from sgdsl.symbols import Opaque, Symbol, has_symbols, is_symbol, symbol, template
from sgdsl.trace_stream import TraceStream
from sgdsl.usage import Usage

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
    named = _named(program)
    further = {name: value for name, value in given.items() if name not in {one.name for one in named}}
    if further and not any(one.kind is Signature.VAR_KEYWORD for one in program.signature.parameters.values()):
        raise TypeError(f"{program.name} has no argument {min(further)!r}")
    parameters = [_parameter(one, given, fix_defaults) for one in named]
    parameters += [
        Parameter(name=name, default=value, is_fixed=True, is_keyword=True) for name, value in further.items()
    ]
    run = TraceRun(program.name, _TraceBackend(), loop(), is_async=program.is_async)
    values = {p.name: p.default if p.is_fixed else run.symbol(Arg(p.name)) for p in parameters}
    positional = [values.pop(one.name) for one in named if one.kind is Signature.POSITIONAL_ONLY]
    _, result, error = _performed(program, run, positional, values)
    if error is not None and not partial:
        raise error
    return Graph(
        name=program.name, parameters=tuple(parameters), instructions=tuple(run.instructions), result=result,
        stopped=None if error is None else error.reason,
    )  # fmt: skip


def _named(program: Program) -> list[Signature]:
    found = program.signature.parameters.values()
    return [one for one in found if one.kind not in (Signature.VAR_POSITIONAL, Signature.VAR_KEYWORD)]


def _parameter(parameter: Signature, given: Mapping[str, Any], fix_defaults: bool) -> Parameter:
    if parameter.name in given:
        return Parameter(name=parameter.name, default=given[parameter.name], is_fixed=True, is_keyword=True)
    is_keyword = parameter.kind is Signature.KEYWORD_ONLY
    if parameter.default is Signature.empty:
        return Parameter(name=parameter.name, is_required=True, is_keyword=is_keyword)
    is_fixed = fix_defaults and not isinstance(parameter.default, str)
    return Parameter(name=parameter.name, default=parameter.default, is_fixed=is_fixed, is_keyword=is_keyword)


def _performed(
    program: Program, run: TraceRun, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[Any, Value, TraceError | None]:
    """What the function returns, the same as a graph keeps it, and why it was left before its end."""
    definition = _definition(program)
    try:
        with run.entered():
            returned = program.func(ProgramState(run.main), *args, **kwargs)
            if program.is_async:
                returned = _awaited(returned)
            result = template(returned, definition)
            run.check_own([result], definition)
    except TraceError as error:
        return None, NOTHING, run.stopped or error
    except Exception as error:  # of a symbol where only a value fits, or the program's own
        reason = error.args[0] if isinstance(error, KeyError) and error.args else error
        failure = TraceError(f"{type(error).__name__} while it was traced: {reason}", raised_at(error.__traceback__))
        failure.__cause__ = error
        return None, NOTHING, run.stopped or failure
    finally:
        run.close()
    return (returned, result, None) if run.stopped is None else (None, NOTHING, run.stopped)


def _definition(program: Program) -> Source | None:
    """Where what is wrong with a returned value is reported."""
    code = getattr(inspect.unwrap(program.func), "__code__", None)
    return None if code is None else Source(code.co_filename, code.co_firstlineno, code.co_name)


def _awaited(work: Coroutine[Any, Any, Any]) -> Any:
    """Runs a coroutine to its end, whether or not an event loop is running in this thread."""
    found: list[Any] = []

    async def kept() -> None:  # a task shows its result to whoever asks, and symbols are not for showing
        found.append(await work)

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(kept())
        return found[0]
    failed: list[BaseException] = []
    context = contextvars.copy_context()

    def perform() -> None:
        try:
            context.run(asyncio.run, kept())
        except BaseException as error:  # raised again by whoever waits for it
            failed.append(error)

    thread = threading.Thread(target=perform, name="sgdsl-trace")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return found[0]


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
class TraceRun(Run):
    """A run that keeps instructions instead of executing them.

    Attributes:
        instructions: of all streams, in order.
        made: by identity, every argument and reference that a symbol of this trace stands for.
        stopped: what the graph ends with; set even where the program catches it.
    """

    instructions: list[Instruction] = field(default_factory=list)
    made: dict[int, Arg | VarRef] = field(default_factory=dict)
    stopped: TraceError | None = None

    def new_stream(self, index: int, conversation: Conversation) -> Stream:
        """One that records symbols."""
        return TraceStream(self, index, conversation)

    def symbol(self, value: Arg | VarRef) -> Symbol:
        """Stands for text."""
        self.made[id(value)] = value
        return symbol(value, self)

    def opaque(self, value: Arg | VarRef) -> Opaque:
        """Stands for anything else."""
        self.made[id(value)] = value
        return Opaque(value, self)

    def stop(self, error: TraceError) -> NoReturn:
        """The graph ends here."""
        self.stopped = self.stopped or error
        raise error

    def keep(self, stream: int, node: Node, source: Source | None) -> int:
        """One more instruction; its index."""
        if self.stopped is not None:
            raise self.stopped
        self.check_own(values_of(node), source)
        self.instructions.append(Instruction(stream, node, source))
        return len(self.instructions) - 1

    def lend(self, name: str) -> Backend:
        """Another program is to be run on its own, not called."""
        self.stop(TraceError(f"running {name} inside needs a backend", reader(), "calling it puts it into the graph"))

    def check_own(self, values: Sequence[Value], source: Source | None) -> None:
        """Stops where a value is another program's, which came in by other ways than as an argument."""
        for found in (one for value in values for one in references(value)):
            if self.made.get(id(found)) is not found:
                self.stop(TraceError(f"{found.name!r} is of another program: give it as an argument", source))

    def adopt(self, run: Run) -> None:
        """Another program is run on its own, not called."""
        self.stop(TraceError(f"running {run.name} inside: call it as a function to have it in the graph", reader()))

    def ending(self) -> ProgramError | None:
        """A batch asks before it begins."""
        self.stop(TraceError("running a batch inside: a graph has no place for it", reader()))

    def usage(self) -> Usage:
        """A graph has no such instruction."""
        self.stop(TraceError("s.usage() is there only when the program runs", reader()))

    def cancel(self) -> None:
        """A graph has no such instruction."""
        self.stop(TraceError("s.cancel(): a graph has no place for it", reader()))

    def call(self, program: Program, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """A called program becomes a graph inside this one; symbols among its arguments stay symbols."""
        if refused := kwargs.keys() & {"backend", "stream", "timeout"}:
            self.stop(TraceError(f"{min(refused)}= of a called program: a graph has no place for it", reader()))
        own, sampling = program.split(kwargs)
        program.check_arguments(args, own)
        bound = program.signature.bind(*args, **{**program.bound, **own})
        try:
            if program.graph is not None:
                value = self._call_graph(program.graph, program.graph.arguments(bound.arguments), sampling)
            else:
                call, returned = _called(program, bound, sampling)
                value = self._seen_from_outside(returned, self.keep(0, call, reader()), ())
        except TraceError as error:
            self.stop(error)
        return _as_awaitable(value) if self.is_async else value

    def _call_graph(self, graph: Graph, given: Mapping[str, Any], sampling: Sampling) -> Any:
        """A compiled program is a graph already; what it returns is known by that alone."""
        arguments = tuple((p.name, template(given[p.name])) for p in graph.parameters if not p.is_fixed)
        index = self.keep(0, Call(graph, arguments, sampling), reader())

        def seen(value: Value, path: tuple[int | str, ...]) -> Any:
            if isinstance(value, Const):
                return value.value
            if isinstance(value, Arg):
                return given[value.name]
            if isinstance(value, Items):
                items = [seen(one, (*path, place)) for place, one in enumerate(value.values)]
                return tuple(items) if value.is_tuple else items
            if isinstance(value, Entries):
                return {key: seen(one, (*path, key)) for key, one in value.entries}
            reference = VarRef(index, "", path)
            return self.symbol(reference) if graph.is_text(value) else self.opaque(reference)

        return seen(graph.result, ())

    def _seen_from_outside(self, value: Any, call: int, path: tuple[int | str, ...]) -> Any:
        """What a called program returned, its symbols as references to the call."""
        if is_symbol(value) or isinstance(value, Expr):
            reference = VarRef(call, "", path)
            return self.opaque(reference) if type(value) is Opaque else self.symbol(reference)
        if isinstance(value, list | tuple):
            return type(value)(self._seen_from_outside(one, call, (*path, place)) for place, one in enumerate(value))
        if isinstance(value, dict):
            return {key: self._seen_from_outside(one, call, (*path, key)) for key, one in value.items()}
        return value


def _called(program: Program, bound: BoundArguments, sampling: Sampling) -> tuple[Call, Any]:
    """A call of a program, and what its function returned. What is known goes into its graph, symbols are handed over.

    Raises:
        TraceError: as `trace`.
    """
    run = TraceRun(program.name, _TraceBackend(), loop(), is_async=program.is_async)
    fixed = [
        Parameter(name=name, default=value, is_fixed=True)
        for name, value in bound.arguments.items()
        if not has_symbols(value)
    ]
    handed_over: list[tuple[str, Value]] = []

    def seen_from_inside(value: Any, name: str) -> Any:
        if is_symbol(value) or (isinstance(value, Expr) and has_symbols(value)):
            handed_over.append((name, template(value)))
            return run.opaque(Arg(name)) if type(value) is Opaque else run.symbol(Arg(name))
        if isinstance(value, list | tuple) and has_symbols(value):
            return type(value)(seen_from_inside(one, f"{name}[{place}]") for place, one in enumerate(value))
        if isinstance(value, dict) and has_symbols(value):
            return {key: seen_from_inside(one, f"{name}[{key!r}]") for key, one in value.items()}
        return value

    for name, value in bound.arguments.items():
        bound.arguments[name] = seen_from_inside(value, name)
    returned, result, error = _performed(program, run, bound.args, bound.kwargs)
    if error is not None:
        raise error
    required = [Parameter(name=name, is_required=True) for name, _ in handed_over]
    graph = Graph(
        name=program.name, parameters=(*required, *fixed), instructions=tuple(run.instructions), result=result
    )  # fmt: skip
    return Call(graph, tuple(handed_over), sampling), returned


async def _as_awaitable(value: Any) -> Any:
    return value
