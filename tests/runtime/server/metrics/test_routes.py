from __future__ import annotations

from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families as families

from runtime.errors import EngineClosed
from runtime.handle import Handle
from runtime.server.local_engine import LocalEngine
from runtime.server.metrics import routes

# What SGLang's own dashboards and Kubernetes' gateways ask for.
EXPECTED = [
    "num_running_reqs",
    "num_queue_reqs",
    "token_usage",
    "num_used_tokens",
    "max_total_num_tokens",
    "gen_throughput",
    "cache_hit_rate",
    "kv_free_tokens",
    "kv_evictable_tokens",
    "kv_protected_tokens",
    "prompt_tokens_total",
    "generation_tokens_total",
    "cached_tokens_total",
    "num_requests_total",
    "num_aborted_requests_total",
    "num_retracted_requests_total",
    "evicted_tokens_total",
    "num_grammar_cache_hit_total",
    "grammar_mask_seconds_total",
    "jump_forward_tokens_total",
    "time_to_first_token_seconds_bucket",
    "inter_token_latency_seconds_count",
    "e2e_request_latency_seconds_sum",
    "queue_time_seconds_bucket",
    "eviction_duration_seconds_bucket",
    "grammar_compilation_time_seconds_count",
    "engine_up",
    "http_requests_total",
    "http_request_duration_seconds_bucket",
    "http_requests_in_work",
]


async def _samples(client: Any, **headers: str) -> dict[str, float]:
    """Sample → value, summed over labels besides the model's name, which every sample has."""
    async with client.get("/metrics", headers=headers) as response:
        assert response.status == 200
        text = await response.text()
    found: dict[str, float] = {}
    for family in families(text):
        for sample in family.samples:
            assert sample.labels["model_name"] == "tiny"
            if sample.labels.get("le") in (None, "+Inf"):
                found[sample.name] = found.get(sample.name, 0) + sample.value
    return found


async def test_names_and_values_after_requests(client: Any) -> None:
    before = await _samples(client)
    assert [name for name in EXPECTED if f"sgdsl:{name}" not in before and not name.startswith("http_")] == []
    body = {"prompt": "abcdefghij" * 4, "max_tokens": 5, "ignore_eos": True, "temperature": 0}
    for _ in range(2):
        async with client.post("/v1/completions", json=body) as response:
            usage = (await response.json())["usage"]
    after = await _samples(client)
    assert [name for name in EXPECTED if f"sgdsl:{name}" not in after] == []

    def more(name: str) -> float:
        return after[f"sgdsl:{name}"] - before.get(f"sgdsl:{name}", 0)

    assert more("generation_tokens_total") == 10
    assert more("prompt_tokens_total") == 2 * usage["prompt_tokens"]
    assert more("cached_tokens_total") == usage["prompt_tokens_details"]["cached_tokens"] > 0
    assert more("num_requests_total") == more("time_to_first_token_seconds_count") == 2
    assert more("e2e_request_latency_seconds_bucket") == more("queue_time_seconds_count") == 2
    assert more("inter_token_latency_seconds_count") == 8
    assert more("http_requests_total") == 3  # the scrape before is one of them
    assert after["sgdsl:num_running_reqs"] == after["sgdsl:num_queue_reqs"] == 0
    assert after["sgdsl:engine_up"] == after["sgdsl:http_requests_in_work"] == 1
    pool = ("free", "evictable", "protected", "request", "session", "in_transfer")
    assert sum(after[f"sgdsl:kv_{owner}_tokens"] for owner in pool) == after["sgdsl:max_total_num_tokens"] == 4096
    assert after["sgdsl:token_usage"] * 4096 == after["sgdsl:num_used_tokens"]


async def test_buckets_rise(client: Any) -> None:
    async with client.post("/generate", json={"text": "abc", "sampling_params": {"max_new_tokens": 2}}) as response:
        assert response.status == 200
    async with client.get("/metrics") as response:
        found = {family.name: family for family in families(await response.text())}
    samples = found["sgdsl:time_to_first_token_seconds"].samples
    buckets = [one.value for one in samples if one.name.endswith("_bucket")]
    assert buckets == sorted(buckets)
    assert buckets[-1] == next(one.value for one in samples if one.name.endswith("_count"))


async def test_evictions_are_counted_and_timed(client: Any, tiny_engine: Any) -> None:
    await client.post("/generate", json={"text": "x" * 100, "sampling_params": {"max_new_tokens": 1}})
    before = await _samples(client)
    forgotten = tiny_engine.flush_cache()
    after = await _samples(client)

    def more(name: str) -> float:
        return after[f"sgdsl:{name}"] - before[f"sgdsl:{name}"]

    assert more("evicted_tokens_total") == forgotten > 0
    assert more("eviction_duration_seconds_count") == more("eviction_duration_seconds_bucket") == 1
    assert 0 < more("eviction_duration_seconds_sum") < 60
    tiny_engine.flush_cache()
    assert (await _samples(client))["sgdsl:eviction_duration_seconds_count"] == (
        after["sgdsl:eviction_duration_seconds_count"]
    )  # nothing was there to be forgotten


async def test_the_prefix_makes_other_peoples_dashboards_work(make_client: Any) -> None:
    client = await make_client(metrics_prefix="sglang")
    found = await _samples(client)
    assert {name.partition(":")[0] for name in found} == {"sglang"}
    assert "sglang:token_usage" in found


async def test_openmetrics_for_who_asks_for_it(client: Any) -> None:
    async with client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}) as response:
        assert response.headers["Content-Type"].startswith("application/openmetrics-text")
        text = await response.text()
    assert "sgdsl:num_requests" in {family.name for family in open_families(text)}


class _Broken(LocalEngine):
    """Says whatever it is given."""

    said: Any = None

    @property
    def failure(self) -> BaseException | None:
        return self.said

    def stats(self) -> Handle[dict[str, Any]]:
        return Handle()


@pytest.mark.parametrize("said", [None, EngineClosed("gone")])
async def test_an_engine_that_does_not_answer(
    make_client: Any, tiny_engine: Any, monkeypatch: pytest.MonkeyPatch, said: Any
) -> None:
    monkeypatch.setattr(routes, "WAIT_SECONDS", 0.01)
    engine = _Broken(tiny_engine)
    engine.said = said
    found = await _samples(await make_client(engine))
    assert found["sgdsl:engine_up"] == 0
    assert "sgdsl:num_running_reqs" not in found
    assert found["sgdsl:http_requests_in_work"] == 1
