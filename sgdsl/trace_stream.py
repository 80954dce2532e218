"""TraceStream: a stream of a program that is being traced: it keeps instructions, and what they bind is symbols."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, cast

from runtime.handle import Handle
from sgdsl.awaited import Awaited
from sgdsl.errors import TraceError
from sgdsl.ir import Gen, Join, Node, Select, SetVar, VarRef
from sgdsl.outcome import Outcome, ready
from sgdsl.source import Source, reader
from sgdsl.step import Step
from sgdsl.stream import Stream
from sgdsl.symbols import Opaque, Symbol, has_symbols, template

if TYPE_CHECKING:
    from sgdsl.tracer import TraceRun

__all__ = ["TraceStream"]


class TraceStream(Stream):
    """Every outcome is there at once, as symbols."""

    @property
    def _trace(self) -> TraceRun:
        return cast("TraceRun", self.run)

    def advance(self) -> None:
        """Nothing is executed."""
        self.queue.clear()

    def anticipate(self, nodes: Iterable[tuple[Node, Source | None]]) -> None:
        """Nothing is foreseen either."""

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
        made, paths = self._made(name), [()] if samples == 1 else [(place,) for place in range(samples)]
        found = [
            Outcome(made("value", path, is_text=is_text), made("text", path), made("meta", path, is_text=False))
            for path in paths
        ]
        whole = Outcome(*([getattr(one, form) for one in found] for form in ("value", "text", "meta")))
        self.bind(name, ready(found[0] if samples == 1 else whole))

    def _made(self, name: str) -> Callable[..., Symbol | Opaque]:
        """Makes symbols of what the stream's last instruction has bound to a name."""
        origin, trace = self._last, self._trace

        def make(form: Any, path: tuple[int, ...] = (), *, is_text: bool = True) -> Symbol | Opaque:
            reference = VarRef(origin, name, path, form)
            return trace.symbol(reference) if is_text else trace.opaque(reference)

        return make

    def bind_joined(self, node: Join, name: str, outcome: Handle[Outcome]) -> None:
        """A value may be an error in place of what its child has bound, so it is the join's and not the child's."""
        if not node.return_exceptions:
            super().bind_joined(node, name, outcome)
            return
        made, values = self._made(name), outcome.result().value
        columns: list[list[Symbol | Opaque | None]] = [
            [
                None if value is None else made(form, (place,), is_text=form != "meta" and type(value) is Symbol)
                for place, value in enumerate(values)
            ]
            for form in ("value", "text", "meta")
        ]
        self.bind(name, ready(Outcome(*columns)))

    def _end_scope(self, name: str) -> None:
        self._close_scope(name)
        self._bind_symbol(name, is_text=True, samples=1)

    def set_var(self, name: str, value: Any, source: Source | None) -> None:
        """The graph keeps the value."""
        try:
            kept = template(value, source)
        except TraceError as error:
            self._trace.stop(error)
        self.record([SetVar(name, kept)], source)
        is_known = not has_symbols(value)
        text = str(value) if is_known else value if type(value) is Symbol else self._made(name)("text")
        self.bind(name, ready(Outcome(value, text)))

    def require_text(self, what: str) -> None:
        """The text is there only when the program runs."""
        self._trace.stop(TraceError(f"{what} is there only when the program runs", reader()))
