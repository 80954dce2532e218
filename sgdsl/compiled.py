"""CompiledProgram: a program as a graph that was looked at before, and runs without the Python function."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from inspect import Parameter as SignatureParameter
from inspect import Signature
from typing import TYPE_CHECKING, Any, cast

from runtime.handle import Handle
from sgdsl.anticipation import anticipating
from sgdsl.errors import CheckFailed, InvalidArgument
from sgdsl.outcome import Outcome
from sgdsl.passes.check import check, fits
from sgdsl.passes.constraints import constraints
from sgdsl.passes.expand_roles import expand_roles
from sgdsl.passes.finding import Finding
from sgdsl.passes.lifetimes import lifetimes
from sgdsl.passes.merge_text import merge_text
from sgdsl.passes.parallel import parallel
from sgdsl.passes.room import Room, room
from sgdsl.passes.units import constants, with_arguments
from sgdsl.program import Program
from sgdsl.replay import Replay
from sgdsl.run import current_run
from sgdsl.waiting import Deadline, wait_for

if TYPE_CHECKING:
    from sgdsl.backends.base import Backend, GrammarBackend, TokenizingBackend
    from sgdsl.chat import ChatTemplate
    from sgdsl.ir import Graph
    from sgdsl.state import ProgramState

__all__ = ["CompiledProgram", "compile_program"]

_log = logging.getLogger("sgdsl.compiled")


def compile_program(program: Program, graph: Graph, backend: Backend | None) -> CompiledProgram:
    """A compiled program of a traced graph, whole or partial.

    Raises:
        CheckFailed: the graph could not run through.
    """
    if graph.stopped is None:
        graph = parallel(merge_text(graph))
    return CompiledProgram(graph, backend=backend, function=program)


class CompiledProgram:
    """Runs a graph: every instruction is handed over at once, each stream's as one script.

    A partial graph runs what it has ahead of the function, which goes on from there.

    Args:
        graph: what to run.
        backend: what its context length is checked against, and where its grammars are compiled ahead.
        function: the program the graph was made of. A partial graph needs it.

    Attributes:
        graph: what it runs.
        findings: what the checks had to say; warnings only, for errors are raised.

    Raises:
        CheckFailed: the graph could not run through.
        InvalidArgument: a partial graph without its function.
    """

    def __init__(self, graph: Graph, *, backend: Backend | None = None, function: Program | None = None) -> None:
        if graph.stopped is not None and function is None:
            raise InvalidArgument(f"this graph is not whole: {graph.stopped}")
        self.graph = graph
        self.findings = _passed(check(graph, backend))
        self._hints = lifetimes(graph)
        self._rooms: dict[ChatTemplate | None, Room] = {}
        if function is None or graph.stopped is None:
            self._program, self._async_program = self._programs(function)
        else:
            self._program = self._async_program = anticipating(function, graph)
        if backend is not None and backend.capabilities.compiles_ahead:
            cast("GrammarBackend", backend).compile_ahead(constraints(graph))

    @property
    def program(self) -> Program:
        """The program that runs the graph."""
        return self._program

    @property
    def name(self) -> str:
        """The program's name."""
        return self.graph.name

    def __repr__(self) -> str:
        return f"<compiled program {self.name}: {len(self.graph)} instructions>"

    def run(self, *args: Any, **kwargs: Any) -> ProgramState:
        """As `Program.run`.

        Raises:
            CheckFailed: with these arguments, the context has no room for it.
            InvalidArgument: an argument that the graph was made for has another value.
        """
        return self._program.run(*args, **kwargs)

    async def arun(self, *args: Any, **kwargs: Any) -> ProgramState:
        """As `Program.arun`."""
        return await self._async_program.arun(*args, **kwargs)

    def run_batch(
        self, batch: Sequence[Mapping[str, Any] | Sequence[Any]], *, backend: Any = None, **options: Any
    ) -> list[Any] | Iterator[Any]:
        """As `Program.run_batch`; what is the same in every run is tokenized and compiled once, before the first."""
        found = self._program.resolve(backend)
        self._prepare(found)
        return self._program.run_batch(batch, backend=found, **options)

    def cache(self, backend: Any = None) -> int:
        """As `Program.cache`."""
        from sgdsl.prefix import cache_graph_prefix

        return cache_graph_prefix(self.graph, self._program.resolve(backend))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """As a program's: inside another one, runs on its backend and gives what it returns."""
        outer = current_run()
        return (self._async_program if outer is not None and outer.is_async else self._program)(*args, **kwargs)

    def _prepare(self, backend: Backend) -> None:
        if backend.capabilities.tokenizes:
            texts = constants(expand_roles(self.graph, backend.chat_template))
            cast("TokenizingBackend", backend).remember(texts)
        if backend.capabilities.compiles_ahead:
            cast("GrammarBackend", backend).compile_ahead(constraints(self.graph))

    def _programs(self, function: Program | None) -> tuple[Program, Program]:
        """The graph as a plain and as an `async` program."""
        signature = _signature(self.graph)
        names = [one.name for one in self.graph.parameters if not one.is_keyword]

        def perform(state: ProgramState, *args: Any, **kwargs: Any) -> Any:
            returned = self._begin(state, {**dict(zip(names, args, strict=False)), **kwargs})
            wait_for(returned, Deadline(None))
            state._stream.check()
            return returned.result().value

        async def perform_async(state: ProgramState, *args: Any, **kwargs: Any) -> Any:
            return (await self._begin(state, {**dict(zip(names, args, strict=False)), **kwargs})).value

        def program(perform: Callable[..., Any]) -> Program:
            perform.__name__ = perform.__qualname__ = self.name
            perform.__signature__ = signature  # type: ignore[attr-defined]
            perform.__annotations__ = {}  # a graph knows no types, and the command line reads them
            num_tokens = None if function is None else function.num_api_spec_tokens
            return Program(perform, num_api_spec_tokens=num_tokens, graph=self.graph)

        return program(perform), program(perform_async)

    def _begin(self, state: ProgramState, given: Mapping[str, Any]) -> Handle[Outcome]:
        run = state._stream.run
        arguments = self.graph.arguments(given)
        length, max_tokens = run.backend.capabilities.context_length, run.sampling.max_tokens
        if length is not None and self._room(run.backend).most(arguments, max_tokens) > length:
            _passed(fits(with_arguments(self.graph, arguments), run.backend, max_tokens))
        return Replay(self.graph, run, arguments, self._hints).record()

    def _room(self, backend: Backend) -> Room:
        """Worked out once for each chat template."""
        template = backend.chat_template
        if template not in self._rooms:
            self._rooms[template] = room(expand_roles(self.graph, template))
        return self._rooms[template]


def _signature(graph: Graph) -> Signature:
    """How a graph's program is called, the state included.

    Raises:
        InvalidArgument: the names and defaults of the parameters are none that a function can have.
    """
    state = "state"
    while any(parameter.name == state for parameter in graph.parameters):
        state += "_"
    parameters = [SignatureParameter(state, SignatureParameter.POSITIONAL_ONLY)]
    try:
        for parameter in sorted(graph.parameters, key=lambda parameter: parameter.is_keyword):
            by_name, by_place = SignatureParameter.KEYWORD_ONLY, SignatureParameter.POSITIONAL_OR_KEYWORD
            kind = by_name if parameter.is_keyword else by_place
            default = Signature.empty if parameter.is_required else parameter.default
            parameters.append(SignatureParameter(parameter.name, kind, default=default))
        return Signature(parameters)
    except ValueError as error:
        raise InvalidArgument(f"the parameters of {graph.name} are not allowed: {error}") from error


def _passed(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The warnings, logged.

    Raises:
        CheckFailed: there are errors among them.
    """
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        raise CheckFailed(errors)
    for finding in findings:
        _log.warning("%s", finding)
    return tuple(findings)
