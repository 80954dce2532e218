from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    yield exporter
    provider.shutdown()


async def test_a_generations_span_below_the_clients(make_client: Any, spans: InMemorySpanExporter) -> None:
    client = await make_client(otel=True)
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "X-Request-Id": "one"}
    body = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 3, "ignore_eos": True, "temperature": 0.5}
    async with client.post("/v1/chat/completions", json=body, headers=headers) as response:
        usage = (await response.json())["usage"]
    (span,) = spans.get_finished_spans()
    assert span.name == "chat tiny"
    assert span.kind is trace.SpanKind.SERVER
    assert f"{span.context.trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == PARENT
    assert dict(span.attributes) == {
        "http.request.method": "POST",
        "http.route": "/v1/chat/completions",
        "http.response.status_code": 200,
        "sgdsl.request_id": "one",
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "sgdsl",
        "gen_ai.request.model": "tiny",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 1.0,
        "gen_ai.request.max_tokens": 3,
        "gen_ai.response.finish_reasons": ("length",),
        "gen_ai.usage.input_tokens": usage["prompt_tokens"],
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.usage.cache_read.input_tokens": 0,
    }


async def test_other_requests_and_broken_parents(make_client: Any, spans: InMemorySpanExporter) -> None:
    client = await make_client(otel=True)
    async with client.get("/v1/models/nobody", headers={"traceparent": "00-zz-zz-01"}) as response:
        assert response.status == 404
    (span,) = spans.get_finished_spans()
    assert span.name == "GET /v1/models/{name}"
    assert span.parent is None
    assert span.attributes["http.response.status_code"] == 404
    assert span.status.status_code is trace.StatusCode.UNSET


def test_nothing_is_imported_unless_asked_for() -> None:
    code = "import sys, runtime.server.app; print([name for name in sys.modules if name.startswith('opentelemetry')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
