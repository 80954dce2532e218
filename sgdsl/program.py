"""Program: a Python function whose first parameter is a state, and the ways to run it."""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from sgdsl.backends.base import Backend
from sgdsl.errors import InvalidArgument
from sgdsl.execution import ended_task, in_thread, perform, perform_async, perform_quietly
from sgdsl.primitives import check_timeout
from sgdsl.process import as_backend, default_backend, loop
from sgdsl.record.recording import Recording
from sgdsl.record.sink import Sink, sink_of
from sgdsl.run import Run, current_run
from sgdsl.running import RunningState
from sgdsl.sampling import Sampling
from sgdsl.state import ProgramState

if TYPE_CHECKING:
    from sgdsl.compiled import CompiledProgram
    from sgdsl.ir import Graph

__all__ = ["Program", "function"]


@overload
def function(func: Callable[..., Any], *, num_api_spec_tokens: int | None = None) -> Program: ...
@overload
def function(*, num_api_spec_tokens: int | None = None) -> Callable[[Callable[..., Any]], Program]: ...
def function(
    func: Callable[..., Any] | None = None, *, num_api_spec_tokens: int | None = None
) -> Program | Callable[[Callable[..., Any]], Program]:
    """Makes a program of a function, plain or `async`, whose first parameter is the state.

    Args:
        num_api_spec_tokens: tokens to write ahead on backends that are asked for text only, so that one call serves
            several gens. Where tokens are at hand, as in the engine and the mock, it changes nothing.

    Raises:
        InvalidArgument: the function has no first parameter, or the number is not positive.
    """
    ahead = num_api_spec_tokens
    if ahead is not None and (isinstance(ahead, bool) or not isinstance(ahead, int) or ahead < 1):
        raise InvalidArgument(f"num_api_spec_tokens={ahead!r} is not allowed: an integer of at least 1")
    if func is None:
        return lambda func: Program(func, num_api_spec_tokens=num_api_spec_tokens)
    return Program(func, num_api_spec_tokens=num_api_spec_tokens)


class Program:
    """A function over a state. Immutable; `bind` makes another one.

    Attributes:
        func: the function.
        bound: arguments fixed by `bind`.
        num_api_spec_tokens: as given to `function`.
        graph: what the function executes, where it was made for a graph.
    """

    def __init__(
        self,
        func: Callable[..., Any],
        *,
        bound: Mapping[str, Any] | None = None,
        num_api_spec_tokens: int | None = None,
        graph: Graph | None = None,
    ) -> None:
        parameters = list(inspect.signature(func).parameters.values())
        if not parameters or parameters[0].kind not in (
            inspect.Parameter.POSITIONAL_ONLY,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
        ):
            raise InvalidArgument(f"{_name(func)} needs a first parameter: the state")
        self.func = func
        self.bound = dict(bound or {})
        self.num_api_spec_tokens = num_api_spec_tokens
        self.graph = graph
        self.signature = inspect.Signature(parameters[1:])
        self.is_async = inspect.iscoroutinefunction(func)
        functools.update_wrapper(self, func)

    @property
    def name(self) -> str:
        """The function's name."""
        return _name(self.func)

    def __repr__(self) -> str:
        return f"<program {self.name}{self.signature}>"

    def bind(self, **kwargs: Any) -> Program:
        """This program with some arguments fixed; every option stays.

        Raises:
            TypeError: an argument the function does not have.
        """
        try:
            self.signature.bind_partial(**kwargs)
        except TypeError as error:
            raise TypeError(f"{self.name}: {error}") from None
        bound = {**self.bound, **kwargs}
        return Program(self.func, bound=bound, num_api_spec_tokens=self.num_api_spec_tokens, graph=self.graph)

    def check_arguments(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Raises TypeError, naming the program, when its function cannot be called with these."""
        try:
            self.signature.bind(*args, **{**self.bound, **kwargs})
        except TypeError as error:
            raise TypeError(f"{self.name}: {error}") from None

    # running

    def run(
        self,
        *args: Any,
        backend: Any = None,
        stream: bool = False,
        timeout: float | None = None,
        record: str | os.PathLike[str] | Sink | None = None,
        **kwargs: Any,
    ) -> ProgramState:
        """Runs the program and returns its state; with `stream`, returns at once and runs beside the caller.

        Args:
            args, kwargs: the function's own, and sampling defaults for its gens (`temperature=…`, `max_tokens=…`).
            backend: where it runs; otherwise the default backend.
            timeout: seconds for all of it.
            record: where what happens is recorded: a path (JSON lines) or a `Recorder`; a program that has a
                parameter of that name gets it instead.

        Raises:
            ProgramError: a gen, a select or a fork failed; what the function itself raises comes out as it is.
        """
        run, kwargs = self.prepare(args, kwargs, backend, timeout, record)
        if stream:
            state = RunningState(run)
            in_thread(run, functools.partial(perform_quietly, self, run, args, kwargs, timeout), timeout)
            return state
        return perform(self, run, args, kwargs, timeout)

    async def arun(
        self,
        *args: Any,
        backend: Any = None,
        stream: bool = False,
        timeout: float | None = None,
        record: str | os.PathLike[str] | Sink | None = None,
        **kwargs: Any,
    ) -> ProgramState:
        """As `run`, awaited. An `async def` program runs on the caller's loop, a plain one in a thread."""
        current = asyncio.get_running_loop()
        if backend is None and current_run() is None:
            backend = await current.run_in_executor(None, default_backend)  # starting an engine takes seconds
        run, kwargs = self.prepare(args, kwargs, backend, timeout, record)
        work = perform_async(self, run, args, kwargs, timeout)
        if not stream:
            return await work
        state = RunningState(run, awaited=True)
        run.task = asyncio.ensure_future(work)  # the loop itself keeps only a weak reference
        run.task.add_done_callback(functools.partial(ended_task, run))
        return state

    def prepare(
        self,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        backend: Any = None,
        timeout: float | None = None,
        record: Any = None,
    ) -> tuple[Run, dict[str, Any]]:
        """A run that is ready to start, and the function's keyword arguments with the sampling defaults taken out.

        Raises:
            InvalidArgument, TypeError: arguments that do not fit.
        """
        check_timeout(timeout)
        if record is not None and "record" in self.signature.parameters:  # as with sampling, its own come first
            kwargs, record = {**kwargs, "record": record}, None
        own, sampling = self.split(kwargs)
        self.check_arguments(args, own)
        return self.start(self.resolve(backend), sampling, sink_of(record)), own

    def start(self, backend: Backend, sampling: Sampling, sink: Sink | None = None) -> Run:
        """A run that is ready to be performed, recorded where a sink is given."""
        run = Run(
            self.name, backend, loop(), sampling, is_async=self.is_async, num_api_spec_tokens=self.num_api_spec_tokens
        )  # fmt: skip
        if sink is not None:
            run.recording = Recording(sink, run)
        outer = current_run()
        if outer is not None:
            outer.adopt(run)
        return run

    def split(self, kwargs: Mapping[str, Any]) -> tuple[dict[str, Any], Sampling]:
        """The function's own arguments, which come first, and the sampling defaults."""
        defaults = {key for key in kwargs if key in Sampling.names() and key not in self.signature.parameters}
        own = {key: value for key, value in kwargs.items() if key not in defaults}
        return own, Sampling.of({key: kwargs[key] for key in defaults})

    def resolve(self, backend: Any) -> Backend:
        """The backend that a run would take: this one, or else the calling program's, or else the default."""
        if backend is not None:
            return as_backend(backend)
        outer = current_run()
        return outer.lend(self.name) if outer is not None else default_backend()

    # inside other programs

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Inside a program: runs on its backend and gives what the function returns (awaited in an `async` one).

        Anywhere else: as `run`.
        """
        outer = current_run()
        return self.run(*args, **kwargs) if outer is None else outer.call(self, args, kwargs)

    def inline(self, state: ProgramState, *args: Any, **kwargs: Any) -> Any:
        """Runs the function on a state of another program; a coroutine when the function is one.

        Raises:
            InvalidArgument: the function is `async` and the other program is not, so that nobody would await it.
        """
        if self.is_async and not state._stream.run.is_async:
            raise InvalidArgument(f"call: {self.name} is async and this program is not; call it as {self.name}(…)")
        self.check_arguments(args, kwargs)
        return self.func(state, *args, **{**self.bound, **kwargs})

    # looked at before it runs

    def trace(self, *, partial: bool = False, **kwargs: Any) -> Graph:
        """The program as a graph, made by running its function once with symbols for what is not known.

        Args:
            partial: where the function asks for what only a run knows, give the graph up to there.
            kwargs: arguments to make the graph for; the function may branch on them.

        Raises:
            TraceError: the function asks for what only a run knows; names the line.
        """
        from sgdsl.tracer import trace

        return trace(self, kwargs, partial=partial)

    def compile(self, *, backend: Any = None, partial: bool = False, **kwargs: Any) -> CompiledProgram:
        """The program as a graph that is checked now, and runs without the function.

        Args:
            backend: where it will run; its context length is checked against, and its grammars are compiled ahead.
            partial: where the function asks for what only a run knows, the graph ends, and the function goes on.
            kwargs: arguments to make the graph for.

        Raises:
            TraceError: the function asks for what only a run knows; names the line.
            CheckFailed: it could not run through; names every line.
        """
        from sgdsl.compiled import compile_program

        found = None if backend is None else as_backend(backend)
        return compile_program(self, self.trace(partial=partial, **kwargs), found)

    # many at once

    def run_batch(
        self,
        batch: Sequence[Mapping[str, Any] | Sequence[Any]],
        *,
        backend: Any = None,
        num_threads: int | str = "auto",
        progress_bar: bool = False,
        generator_style: bool = False,
        return_exceptions: bool = False,
        timeout: float | None = None,
        record: str | os.PathLike[str] | Sink | None = None,
        **sampling: Any,
    ) -> list[Any] | Iterator[Any]:
        """Runs the program once per item and returns the states in the items' order.

        Args:
            batch: a list of dicts (keyword arguments) or of tuples (positional ones); checked before anything runs.
            backend: where they run; otherwise the default backend.
            num_threads: programs at once; "auto" is as many requests as the backend serves at once.
            progress_bar: show one.
            generator_style: yield states in order instead of returning them all; memory stays flat, however many.
            return_exceptions: put an item's error in its place instead of raising it and ending the others.
            timeout: seconds per program.
            record: where all of them are recorded together: a path (JSON lines) or a `Recorder`.
            sampling: defaults for all gens.

        Raises:
            BatchInterrupted: Ctrl-C; it carries what was finished.
        """
        from sgdsl.batch import Batch

        check_timeout(timeout)
        items = [_item(self, position, item) for position, item in enumerate(batch)]
        options = {key: value for key, value in sampling.items() if value is not None}
        unknown = set(options) - Sampling.names()
        if unknown:
            raise InvalidArgument(f"{min(unknown)}: is neither an option of run_batch nor a sampling default")
        made = Batch(
            self, items, self.resolve(backend), num_threads=num_threads, progress_bar=progress_bar,
            return_exceptions=return_exceptions, timeout=timeout, sampling=Sampling.of(options), sink=sink_of(record),
        )  # fmt: skip
        return made.iterate() if generator_style else made.collect()

    def cache(self, backend: Any = None) -> int:
        """Puts the text that every run begins with into the backend's prefix cache; returns its number of tokens."""
        from sgdsl.prefix import cache_prefix

        return cache_prefix(self, self.resolve(backend))


def _name(func: Callable[..., Any]) -> str:
    """A function's name; a `functools.partial` or an object that can be called goes by its type's."""
    return getattr(func, "__name__", type(func).__name__)


def _item(program: Program, position: int, item: object) -> tuple[Sequence[Any], Mapping[str, Any]]:
    if isinstance(item, Mapping):
        arguments: tuple[Sequence[Any], Mapping[str, Any]] = ((), item)
    elif isinstance(item, tuple | list):
        arguments = (item, {})
    else:
        raise TypeError(f"batch[{position}]: a dict or a tuple of arguments is needed, not {type(item).__name__}")
    try:
        program.check_arguments(*arguments)
    except TypeError as error:
        raise TypeError(f"batch[{position}]: {error}") from None
    return arguments
