from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from runtime.server.local_engine import LocalEngine
from runtime.server.sessions.peer import Peer
from runtime.server.trail.spans import Spans
from runtime.wire import messages as wire

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


async def test_a_generations_span_below_the_clients(make_client: Any, exporter: InMemorySpanExporter) -> None:
    client = await make_client(otel=True)
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "X-Request-Id": "one"}
    body = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 3, "ignore_eos": True, "temperature": 0.5}
    async with client.post("/v1/chat/completions", json=body, headers=headers) as response:
        usage = (await response.json())["usage"]
    (span,) = exporter.get_finished_spans()
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


async def test_other_requests_and_broken_parents(make_client: Any, exporter: InMemorySpanExporter) -> None:
    client = await make_client(otel=True)
    async with client.get("/v1/models/nobody", headers={"traceparent": "00-zz-zz-01"}) as response:
        assert response.status == 404
    (span,) = exporter.get_finished_spans()
    assert span.name == "GET /v1/models/{name}"
    assert span.parent is None
    assert span.attributes["http.response.status_code"] == 404
    assert span.status.status_code is trace.StatusCode.UNSET


def test_a_session_of_a_client_that_traces(tiny_engine: Any, exporter: InMemorySpanExporter) -> None:
    ended = threading.Event()

    def say(message: wire.FromServer) -> None:
        if isinstance(message, wire.Counted):
            ended.set()

    peer = Peer(LocalEngine(tiny_engine), say, spans=Spans("tiny"))
    begin = wire.Open("", "judge", f"00-{TRACE}-{PARENT}-01")
    peer.take([wire.Script(1, (begin, wire.Append("abc"), wire.Mark(1)))])
    assert ended.wait(20)
    assert exporter.get_finished_spans() == ()
    peer.take([wire.Script(1, (wire.Close(),))])
    (span,) = exporter.get_finished_spans()
    assert (span.name, f"{span.parent.span_id:016x}") == ("session judge", PARENT)
    peer.take([wire.Script(2, (wire.Open(),))])
    peer.close()
    assert [(one.name, one.parent) for one in exporter.get_finished_spans()[1:]] == [("session", None)]


def test_nothing_is_imported_unless_asked_for() -> None:
    code = "import sys, runtime.server.app; print([name for name in sys.modules if name.startswith('opentelemetry')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
