"""HttpMetrics: what the server itself counts of the requests it answers."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = ["HttpMetrics"]

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)


class HttpMetrics:
    """Counters in a registry of their own.

    Args:
        prefix: of every name.
        model_name: of the label that everything has.
    """

    def __init__(self, prefix: str, model_name: str) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        labels = ("model_name", "path", "status")
        self._requests = Counter(
            f"{prefix}:http_requests", "Answers given, by path and status.", labels, registry=self.registry
        )
        self._seconds = Histogram(
            f"{prefix}:http_request_duration_seconds",
            "From a request's head to the end of its answer.",
            ("model_name", "path"),
            buckets=SECONDS,
            registry=self.registry,
        )
        in_work = Gauge(f"{prefix}:http_requests_in_work", "Not answered yet.", ("model_name",), registry=self.registry)
        self._in_work = in_work.labels(model_name)
        self._model_name = model_name

    def began(self) -> None:
        """A request has come."""
        self._in_work.inc()

    def ended(self, path: str, status: int, seconds: float) -> None:
        """It is answered.

        Args:
            path: the route's, so that there are only so many.
        """
        self._in_work.dec()
        self._requests.labels(self._model_name, path, str(status)).inc()
        self._seconds.labels(self._model_name, path).observe(seconds)
