"""Tracing: OpenTelemetry spans of programs, and of their gens, selects and forks, below whatever span is current.

Where spans go is the tracer provider's business, which `opentelemetry-instrument` or the program's owner sets up.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from typing_extensions import override

from sgdsl.errors import InvalidArgument
from sgdsl.record.entries import Ended, Entry, Failed, HandedOver, Instruction, RunBegun, RunEnded, StreamBegun
from sgdsl.record.sink import Sink

__all__ = ["Spans", "trace_headers"]

_log = logging.getLogger("sgdsl.tracing")

CALLS = frozenset({"gen", "select"})
SECOND = 1_000_000_000


def trace_headers() -> dict[str, str]:
    """W3C's headers that say below which span something happens; none where nobody traces."""
    if "opentelemetry.trace" not in sys.modules:
        return {}
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    headers: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(headers)
    return headers


@dataclass(slots=True)
class _TracedRun:
    """Spans of a run that is not over.

    Attributes:
        streams: those of its streams, the run's own for the first. calls: those of instructions that are not over.
        last: when something happened last in a stream.
    """

    model: str
    streams: dict[int, Any] = field(default_factory=dict)
    instructions: dict[int, Instruction] = field(default_factory=dict)
    calls: dict[int, Any] = field(default_factory=dict)
    last: dict[int, float] = field(default_factory=dict)


class Spans(Sink):
    """A record that becomes spans: `program.run(…, record=Spans())`. One may serve any number of runs.

    What users write and models answer stays out of them.

    Raises:
        InvalidArgument: OpenTelemetry is not installed.
    """

    def __init__(self) -> None:
        super().__init__()
        try:
            from opentelemetry import trace
        except ImportError as error:
            raise InvalidArgument("spans need a package: pip install 'sgdsl[otel]'") from error
        self._trace = trace
        self._tracer = trace.get_tracer("sgdsl")
        self._zero = time.time_ns() - round((time.monotonic() - self._begun) * SECOND)
        self._runs_open: dict[int, _TracedRun] = {}
        self._lock = threading.Lock()

    @override
    def acquire(self) -> None:
        """Nothing is to be opened."""

    @override
    def release(self) -> None:
        """Nothing is to be closed."""

    @contextmanager
    @override
    def around(self, run: int) -> Iterator[None]:
        """The run's span is the current one in the block."""
        traced = self._runs_open.get(run)
        if traced is None:
            yield
            return
        with self._trace.use_span(traced.streams[0], end_on_exit=False, record_exception=False):
            yield

    @override
    def write(self, entry: Entry) -> None:
        """One more entry becomes a span, or ends one."""
        try:
            with self._lock:
                self._take(entry)
        except Exception:  # a trace that cannot be kept is no reason to fail a program
            _log.exception("something that happened in a run could not be traced")

    def _take(self, entry: Entry) -> None:
        if isinstance(entry, RunBegun):
            self._begin(entry)
            return
        traced = self._runs_open.get(getattr(entry, "run", 0))
        if traced is None:
            return
        match entry:
            case StreamBegun(parent=int(origin)):
                parent = traced.streams.get(origin)
                traced.streams[entry.stream] = self._started(f"fork {entry.stream}", parent, entry.seconds)
                traced.last[entry.stream] = entry.seconds
            case Instruction(kind=kind) if kind in CALLS:
                traced.instructions[entry.id] = entry
            case HandedOver(id=number) if number in traced.instructions:
                self._call(traced, traced.instructions[number], entry.seconds)
            case Ended() | Failed() if entry.id in traced.instructions:
                self._end_call(traced, entry)
            case RunEnded():
                self._end(traced, entry)

    def _started(self, name: str, parent: Any, seconds: float, **attributes: Any) -> Any:
        context = None if parent is None else self._trace.set_span_in_context(parent)
        return self._tracer.start_span(
            name, context, attributes=attributes.get("attributes"), start_time=self._time(seconds)
        )  # fmt: skip

    def _time(self, seconds: float) -> int:
        return self._zero + round(seconds * SECOND)

    def _begin(self, entry: RunBegun) -> None:
        outer = None if entry.outer is None else self._runs_open.get(entry.outer)
        attributes = {"sgdsl.program": entry.program, "sgdsl.backend": entry.backend}
        if entry.model is not None:
            attributes["gen_ai.request.model"] = entry.model
        parent = None if outer is None else outer.streams[0]
        traced = self._runs_open[entry.run] = _TracedRun(entry.model or "")
        traced.streams[0] = self._started(f"program {entry.program}", parent, entry.seconds, attributes=attributes)

    def _call(self, traced: _TracedRun, one: Instruction, seconds: float) -> None:
        attributes: dict[str, Any] = {"sgdsl.instruction": one.kind, "sgdsl.name": one.name or ""}
        if one.kind == "gen":
            attributes["gen_ai.operation.name"] = "text_completion"
        if traced.model:
            attributes["gen_ai.request.model"] = traced.model
        if one.sampling is not None:
            asked = {"temperature": one.sampling.temperature, "max_tokens": one.sampling.max_tokens}
            attributes |= {f"gen_ai.request.{name}": value for name, value in asked.items() if value is not None}
        if one.source is not None:
            attributes["code.line.number"] = one.source.line
        name = f"{one.kind} {one.name}" if one.name else one.kind
        traced.calls[one.id] = self._started(name, traced.streams.get(one.stream), seconds, attributes=attributes)

    def _end_call(self, traced: _TracedRun, entry: Ended | Failed) -> None:
        one = traced.instructions.pop(entry.id)
        if entry.id not in traced.calls:  # it failed before the backend got it
            self._call(traced, one, one.seconds)
        span = traced.calls.pop(entry.id)
        if isinstance(entry, Ended):
            span.set_attributes(
                {
                    "gen_ai.usage.input_tokens": entry.prompt_tokens,
                    "gen_ai.usage.cache_read.input_tokens": entry.cached_tokens,
                    "gen_ai.usage.output_tokens": sum(sample.num_generated for sample in entry.samples),
                    "gen_ai.response.finish_reasons": tuple(sample.finish_reason for sample in entry.samples),
                }
            )
        else:
            self._fail(span, entry.failure.type)
        span.end(self._time(entry.seconds))
        traced.last[one.stream] = entry.seconds

    def _fail(self, span: Any, kind: str) -> None:
        span.set_attribute("error.type", kind)
        span.set_status(self._trace.StatusCode.ERROR)

    def _end(self, traced: _TracedRun, entry: RunEnded) -> None:
        del self._runs_open[entry.run]
        for span in traced.calls.values():
            span.end(self._time(entry.seconds))
        for stream, span in reversed(traced.streams.items()):
            if stream:
                span.end(self._time(traced.last.get(stream, entry.seconds)))
        run = traced.streams[0]
        run.set_attribute("sgdsl.status", entry.status)
        if entry.failure is not None:
            self._fail(run, entry.failure.type)
        run.end(self._time(entry.seconds))
