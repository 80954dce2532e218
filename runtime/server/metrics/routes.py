"""Routes: `GET /metrics`, in Prometheus' text form or OpenMetrics', as the scraper likes."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from runtime.server.keys import CONFIG, ENGINE, model_name
from runtime.server.metrics.families import EngineFamilies
from runtime.server.metrics.http import HttpMetrics
from runtime.server.metrics.throughput import Throughput

__all__ = ["HTTP_METRICS", "prepare", "routes"]

log = logging.getLogger("sgdsl.server")

WAIT_SECONDS = 2.0
"""For the engine's counters: a scraper waits ten, as a rule, and wants the rest of the numbers even then."""

HTTP_METRICS: web.AppKey[HttpMetrics] = web.AppKey("http_metrics", HttpMetrics)
THROUGHPUT: web.AppKey[Throughput] = web.AppKey("throughput", Throughput)


async def metrics(request: web.Request) -> web.Response:
    """All metrics. An engine that is dead or does not answer in time is one that `engine_up` says is not up."""
    app = request.app
    stats = await _stats(app)
    rate = 0.0 if stats is None else app[THROUGHPUT].seen(stats["generated_tokens"], time.monotonic())
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    scrape = CollectorRegistry(auto_describe=False)
    scrape.register(EngineFamilies(stats, app[CONFIG].metrics_prefix, model_name(app), rate))
    scrape.register(_Again(app[HTTP_METRICS].registry))
    return web.Response(body=encode(scrape), headers={"Content-Type": content_type})


class _Again(Collector):
    """A registry within another."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Any:
        return self._registry.collect()


async def _stats(app: web.Application) -> dict[str, Any] | None:
    engine = app[ENGINE]
    if engine.failure is not None:
        return None
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            found: dict[str, Any] = await engine.stats()
            return found
    except Exception as error:  # whatever it is, it is what the metric is there to show
        log.warning("/metrics: the engine gives no counters: %s", error or f"none within {WAIT_SECONDS:g} s")
        return None


def prepare(app: web.Application) -> None:
    """Gives an application what this room keeps."""
    app[HTTP_METRICS] = HttpMetrics(app[CONFIG].metrics_prefix, model_name(app))
    app[THROUGHPUT] = Throughput()


def routes() -> list[web.RouteDef]:
    """This room's."""
    return [web.get("/metrics", metrics)]
