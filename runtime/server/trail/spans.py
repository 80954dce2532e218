"""Spans: one OpenTelemetry span for each request, below the client's own where it says which that is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from aiohttp import web

from runtime.errors import ConfigError

if TYPE_CHECKING:
    from runtime.server.trail.account import Account

__all__ = ["SPANS", "RequestSpan", "Spans"]

_OPERATIONS = {
    "/v1/chat/completions": "chat",
    "/v1/responses": "chat",
    "/v1/completions": "text_completion",
    "/generate": "text_completion",
}
"""Names of GenAI's semantic conventions; other paths have none."""


class RequestSpan:
    """The span of a request that is being answered."""

    def __init__(self, span: Any, is_generation: bool) -> None:
        self._span = span
        self._is_generation = is_generation

    def ended(self, account: Account, status: int) -> None:
        """Writes down how it ended, in the words of the HTTP and GenAI conventions."""
        from opentelemetry.trace import StatusCode

        found: dict[str, Any] = {"http.response.status_code": status, "sgdsl.request_id": account.id}
        if self._is_generation:
            found |= {
                "gen_ai.usage.input_tokens": account.prompt_tokens,
                "gen_ai.usage.output_tokens": account.completion_tokens,
                "gen_ai.usage.cache_read.input_tokens": account.cached_tokens,
                "gen_ai.response.finish_reasons": tuple(account.finish_reasons),
            }
            if account.params is not None:
                found["gen_ai.request.temperature"] = account.params.temperature
                found["gen_ai.request.top_p"] = account.params.top_p
                if account.params.max_new_tokens is not None:
                    found["gen_ai.request.max_tokens"] = account.params.max_new_tokens
        self._span.set_attributes(found)
        if status >= 500:
            self._span.set_status(StatusCode.ERROR)


class Spans:
    """Begins them. Where they go is the tracer provider's business, which whoever runs the server sets up.

    Args:
        model_name: what clients call the model.

    Raises:
        ConfigError: OpenTelemetry is not installed.
    """

    def __init__(self, model_name: str) -> None:
        try:
            from opentelemetry import trace
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
        except ImportError as error:
            raise ConfigError("otel=True needs a package: pip install 'sgdsl[otel]'") from error
        self._tracer = trace.get_tracer("sgdsl.server")
        self._kind = trace.SpanKind.SERVER
        self._propagator = TraceContextTextMapPropagator()
        self._model_name = model_name

    @contextmanager
    def around(self, request: web.Request, path: str) -> Iterator[RequestSpan]:
        """A span for the block."""
        operation = _OPERATIONS.get(path)
        attributes = {"http.request.method": request.method, "http.route": path}
        if operation is not None:
            attributes |= {
                "gen_ai.operation.name": operation,
                "gen_ai.provider.name": "sgdsl",
                "gen_ai.request.model": self._model_name,
            }
        name = f"{request.method} {path}" if operation is None else f"{operation} {self._model_name}"
        parent = self._propagator.extract({key.lower(): value for key, value in request.headers.items()})
        with self._tracer.start_as_current_span(name, parent, kind=self._kind, attributes=attributes) as span:
            yield RequestSpan(span, operation is not None)


SPANS: web.AppKey[Spans] = web.AppKey("spans", Spans)
