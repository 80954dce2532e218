from __future__ import annotations

from typing import Any, get_args

import pytest

from grammars.engines.registry import NAMES
from runtime.attention.base import KV_DTYPES
from runtime.config import EngineConfig, GrammarEngine, KVDtype
from runtime.errors import ConfigError


def test_flat_names_find_their_group() -> None:
    config = EngineConfig.of({"model": "tiny", "page_size": 1, "policy": "fcfs", "audit": "step", "attention": "torch"})
    assert (config.model.model, config.memory.page_size, config.scheduler.policy) == ("tiny", 1, "fcfs")
    assert (config.audit, config.model.attention) == ("step", "torch")
    assert EngineConfig.of({}) == EngineConfig()
    grammar = EngineConfig.of(
        {"jump_forward": False, "grammar_compile_seconds": 2, "grammar_engine": "outlines"}
    ).grammar
    assert (grammar.jump_forward, grammar.grammar_compile_seconds, grammar.grammar_engine) == (False, 2, "outlines")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"page_sise": 4}, "unknown setting 'page_sise': one of .*page_size"),
        ({"page_size": 0}, "page_size=0 .* at least 1"),
        ({"page_size": 1.5}, r"page_size=1\.5"),
        ({"page_size": True}, "page_size=True"),
        ({"max_total_tokens": "many"}, "max_total_tokens='many'"),
        ({"context_length": 1}, "context_length=1 .* at least 2"),
        ({"mem_fraction_static": 1.0}, r"mem_fraction_static=1\.0 .*between 0 and 1"),
        ({"mem_fraction_static": float("nan")}, "mem_fraction_static=nan"),
        ({"mem_fraction_static": "0.5"}, "mem_fraction_static='0.5'"),
        ({"kv_dtype": "float64"}, "kv_dtype='float64' .* float32, bfloat16, float16, int8"),
        ({"policy": "lifo"}, "policy='lifo' .* fcfs, lpm"),
        ({"max_running_requests": 0}, "max_running_requests=0"),
        ({"chunked_prefill_size": -1}, "chunked_prefill_size=-1"),
        ({"jump_forward": 1}, "jump_forward=1 .* True or False"),
        ({"preemption": "no"}, "preemption='no' .* True or False"),
        ({"grammar_engine": "none"}, "grammar_engine='none' .* sgdsl, outlines"),
        ({"grammar_compile_seconds": 0}, "grammar_compile_seconds=0 .* above 0"),
        ({"grammar_compile_seconds": float("inf")}, "grammar_compile_seconds=inf"),
        ({"audit": "never"}, "audit='never' .* idle, step"),
        ({"max_running_requests": None}, "max_running_requests=None .* at least 1"),
        ({"chunked_prefill_size": None}, "chunked_prefill_size=None .* at least 1"),
        ({"host_cache_bytes": -1}, "host_cache_bytes=-1 .* at least 0"),
        ({"host_cache_bytes": None}, "host_cache_bytes=None .* at least 0"),
        ({"host_cache_bytes": 1e9}, "host_cache_bytes=1000000000.0 .*an integer"),
        ({"disk_cache_bytes": "10G"}, "disk_cache_bytes='10G' .*an integer"),
        ({"disk_cache_bytes": None}, "disk_cache_bytes=None .* at least 0"),
        ({"disk_cache_dir": ""}, "disk_cache_dir='' .*the path of a directory"),
        ({"disk_cache_dir": 5}, "disk_cache_dir=5 "),
        ({"disk_cache_dir": b"/tmp"}, "disk_cache_dir=b'/tmp' "),
        ({"disk_cache_dir": "a\0b"}, r"disk_cache_dir='a\\x00b' "),
        ({"disk_cache_dir": "~no-such-user/x"}, "disk_cache_dir='~no-such-user/x' "),
        ({"tier_write": "write_around"}, "tier_write='write_around' .* write_through, write_back"),
        ({"eviction": "oldest"}, "eviction='oldest' .* lru, lfu"),
        ({"measure_optimal_hit_rate": 1}, "measure_optimal_hit_rate=1 .* True or False"),
        ({"mem_fraction_static": True}, "mem_fraction_static=True .*between 0 and 1"),
    ],
)
def test_what_is_not_allowed_is_named_with_what_is(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        EngineConfig.of(settings)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_every_kv_dtype_can_be_chosen() -> None:
    assert get_args(KVDtype) == tuple(KV_DTYPES)


def test_every_grammar_engine_can_be_chosen() -> None:
    assert get_args(GrammarEngine) == NAMES


def test_a_config_is_frozen() -> None:
    with pytest.raises(AttributeError):
        EngineConfig().audit = "step"  # type: ignore[misc]
