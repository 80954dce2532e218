"""Families: an engine's counters as Prometheus knows them, under SGLang's names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from typing_extensions import override

__all__ = ["EngineFamilies"]

_COUNTERS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "prompt_tokens": ("prompt_tokens", "Prompt tokens, cached ones included; the cache's queries."),
        "cached_tokens": ("cached_tokens", "Prompt tokens that needed no computing; the cache's hits."),
        "computed_tokens": ("computed_tokens", "Prompt tokens run through the model."),
        "recomputed_tokens": ("recomputed_tokens", "Tokens run once more after a retraction."),
        "generation_tokens": ("generated_tokens", "Tokens sampled."),
        "jump_forward_tokens": ("forced_tokens", "Tokens that a grammar appended without the model."),
        "num_requests": ("requests", "Requests that ended, well or badly."),
        "num_failed_requests": ("failed_requests", "Requests that ended badly, cancelled ones included."),
        "num_aborted_requests": ("cancelled_requests", "Requests that somebody cancelled."),
        "num_timed_out_requests": ("timed_out_requests", "Requests that their timeout ended."),
        "num_retracted_requests": ("retractions", "Requests put back into the queue for want of memory."),
        "num_preempted_requests": ("preemptions", "Requests put back into the queue for more urgent ones."),
        "evicted_tokens": ("evicted_tokens", "Cached tokens that had to go."),
        "num_steps": ("steps", "Forward passes."),
        "num_grammar_compilations": ("grammar_compilations", "Constraints compiled."),
        "num_grammar_failures": ("grammar_failures", "Constraints that could not be compiled."),
        "num_grammar_cache_hit": ("grammar_cache_hits", "Requests whose constraint was compiled already."),
        "grammar_mask_seconds": ("grammar_mask_seconds", "Time spent on filling grammar masks."),
    }
)
_HISTOGRAMS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "time_to_first_token_seconds": ("first_token", "From submission to the first sampled token."),
        "inter_token_latency_seconds": ("inter_token", "From one sampled token to the next."),
        "e2e_request_latency_seconds": ("end_to_end", "From submission to a good end."),
        "queue_time_seconds": ("queue", "From submission to the first step."),
        "eviction_duration_seconds": ("eviction", "Making room by forgetting cached tokens."),
        "grammar_compilation_time_seconds": ("grammar_compilation", "Compiling a constraint."),
    }
)


class EngineFamilies(Collector):
    """What one scrape shows of an engine.

    Args:
        stats: as `Engine.stats` gives them; None where the engine does not answer, which `engine_up` says.
        prefix: of every name.
        model_name: of the label that everything has.
        throughput: tokens a second, lately.
    """

    def __init__(self, stats: Mapping[str, Any] | None, prefix: str, model_name: str, throughput: float) -> None:
        self._stats = stats
        self._prefix = prefix
        self._model_name = model_name
        self._throughput = throughput

    @override
    def collect(self) -> Iterator[Metric]:
        """All families."""
        stats = self._stats
        yield self._gauge("engine_up", "Whether the engine answers.", float(stats is not None))
        if stats is None:
            return
        yield from self._load(stats)
        yield from self._memory(stats)
        yield from self._hit_rates(stats)
        for name, (field, says) in _COUNTERS.items():
            family = CounterMetricFamily(f"{self._prefix}:{name}", says, labels=["model_name"])
            family.add_metric([self._model_name], stats[field])
            yield family
        for name, (field, says) in _HISTOGRAMS.items():
            yield self._histogram(name, says, stats["timings"][field])

    def _load(self, stats: Mapping[str, Any]) -> Iterator[Metric]:
        yield self._gauge("num_running_reqs", "Requests that run.", stats["running"])
        yield self._gauge("num_queue_reqs", "Requests that wait.", stats["waiting"])
        yield self._gauge("gen_throughput", "Tokens sampled a second, since the last scrape.", self._throughput)
        limit = self._labelled(GaugeMetricFamily, "limited_by", "1 for the setting that keeps requests waiting now.")
        steps = self._labelled(CounterMetricFamily, "limited_steps", "Steps in which a setting kept requests waiting.")
        for setting, count in stats["limited_steps"].items():
            limit.add_metric([self._model_name, setting], float(setting == stats["limited_by"]))
            steps.add_metric([self._model_name, setting], count)
        yield limit
        yield steps

    def _labelled(self, kind: Any, name: str, says: str) -> Any:
        return kind(f"{self._prefix}:{name}", says, labels=["model_name", "setting"])

    def _memory(self, stats: Mapping[str, Any]) -> Iterator[Metric]:
        ledger, evictable = stats["ledger"], stats["evictable_tokens"]
        total, free = ledger["total"], ledger["free"]
        used = total - free - evictable
        yield self._gauge("max_total_num_tokens", "Tokens that the KV pool has room for.", total)
        yield self._gauge("num_used_tokens", "Tokens of the pool that cannot be had for the asking.", used)
        yield self._gauge("token_usage", "Share of the pool that cannot be had for the asking.", used / max(1, total))
        yield self._gauge("kv_free_tokens", "Tokens of the pool that hold nothing.", free)
        yield self._gauge("kv_evictable_tokens", "Cached tokens that nothing running needs.", evictable)
        protected = max(0, ledger["tree"] - evictable)
        yield self._gauge("kv_protected_tokens", "Cached tokens that something running needs.", protected)
        for owner in ("request", "session", "in_transfer"):
            yield self._gauge(f"kv_{owner}_tokens", f"Tokens of the pool that belong to {owner}.", ledger[owner])
        yield self._gauge("pinned_tokens", "Tokens held by pins.", stats["pinned_tokens"])

    def _hit_rates(self, stats: Mapping[str, Any]) -> Iterator[Metric]:
        yield self._gauge("cache_hit_rate", "Cached share of all prompt tokens so far.", stats["cache_hit_rate"])
        optimal = stats["cache_hit_rate_optimal"]
        if optimal is not None:
            yield self._gauge("cache_hit_rate_optimal", "The same in a cache that never forgets.", optimal)

    def _gauge(self, name: str, says: str, value: float) -> Metric:
        family = GaugeMetricFamily(f"{self._prefix}:{name}", says, labels=["model_name"])
        family.add_metric([self._model_name], value)
        return family

    def _histogram(self, name: str, says: str, table: Mapping[str, Any]) -> Metric:
        family = HistogramMetricFamily(f"{self._prefix}:{name}", says, labels=["model_name"])
        buckets: list[tuple[str, float]] = []
        count = 0
        for bound, more in zip([*table["bounds"], "+Inf"], table["counts"], strict=True):
            count += more
            buckets.append((str(bound), count))
        family.add_metric([self._model_name], buckets, table["seconds"])
        return family
