from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import sgdsl as sg
from sgdsl.tracing import Spans


def _by_name(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in exporter.get_finished_spans()}


def _is_below(span: ReadableSpan, parent: ReadableSpan) -> bool:
    return span.parent is not None and span.parent.span_id == parent.get_span_context().span_id


@sg.function
def judged(s: Any, question: str) -> None:
    s += sg.user(question)
    with s.assistant():
        s += sg.gen("answer", max_tokens=4, temperature=0.5)
    forks = s.fork(2)
    for place, fork in enumerate(forks):
        fork += f" {place} "
        fork += sg.gen("view", max_tokens=4)
    forks.join()
    s += sg.select("verdict", ["good", "bad"])


def test_a_program_and_what_it_calls(exporter: InMemorySpanExporter) -> None:
    with trace.get_tracer("test").start_as_current_span("outside"):
        judged.run(question="a secret question", backend=sg.Mock(), record=Spans())
    spans = _by_name(exporter)
    run = spans["program judged"]
    assert _is_below(run, spans["outside"])
    for name in ("gen answer", "fork 1", "fork 2", "select verdict"):
        assert _is_below(spans[name], run), name
    views = [span for span in exporter.get_finished_spans() if span.name == "gen view"]
    assert len(views) == 2
    assert all(any(_is_below(view, spans[fork]) for fork in ("fork 1", "fork 2")) for view in views)
    attributes = dict(spans["gen answer"].attributes or {})
    assert attributes["gen_ai.request.temperature"] == 0.5
    assert attributes["gen_ai.request.max_tokens"] == 4
    assert attributes["gen_ai.usage.output_tokens"] == 2
    assert attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert (run.attributes or {})["sgdsl.status"] == "completed"
    for span in exporter.get_finished_spans():
        assert "secret" not in str(span.attributes)
        assert span.start_time is not None
        assert span.end_time is not None
        assert run.start_time is not None
        assert run.end_time is not None
        if span.name != "outside":
            assert run.start_time <= span.start_time <= span.end_time <= run.end_time


def test_a_program_that_fails(exporter: InMemorySpanExporter) -> None:
    @sg.function
    def failing(s: Any) -> None:
        s += "text" + sg.gen("answer", max_tokens=2)
        raise ValueError("a secret reason")

    with pytest.raises(ValueError, match="secret"):
        failing.run(backend=sg.Mock(), record=Spans())
    span = _by_name(exporter)["program failing"]
    assert span.status.status_code is trace.StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "ValueError"
    assert "secret" not in span.to_json()


def test_programs_inside_programs_and_spans_of_ones_own(exporter: InMemorySpanExporter) -> None:
    @sg.function
    def inner(s: Any) -> None:
        s += "b" + sg.gen("b", max_tokens=1)

    @sg.function
    def outer(s: Any) -> None:
        with trace.get_tracer("test").start_as_current_span("own"):
            s += "a" + sg.gen("a", max_tokens=1)
        inner.run()

    outer.run(backend=sg.Mock(), record=Spans())
    spans = _by_name(exporter)
    assert _is_below(spans["own"], spans["program outer"])
    assert _is_below(spans["program inner"], spans["program outer"])


def test_nothing_is_imported_unless_asked_for() -> None:
    code = "import sys, sgdsl, sgdsl.tracing; print([name for name in sys.modules if name.startswith('opentelemetry')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
