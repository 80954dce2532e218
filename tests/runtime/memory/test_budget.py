from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.attention.base import KV_DTYPES, KVPool
from runtime.config import MemoryConfig, SchedulerConfig
from runtime.errors import ConfigError
from runtime.memory.budget import Budget, derive

MIB = 1 << 20
SETTINGS = (
    "mem_fraction_static", "max_total_tokens", "context_length", "max_running_requests", "chunked_prefill_size",
    "page_size", "kv_dtype",
)  # fmt: skip


def budget(
    free: int = 1024 * MIB, weights: int = 0, per_token: int = 1024, context: int = 512, **memory: Any
) -> Budget:
    return derive(
        MemoryConfig(**memory),
        SchedulerConfig(max_running_requests=7, chunked_prefill_size=33),
        model_context=context,
        bytes_per_token=per_token,
        free_bytes=free,
        weight_bytes=weights,
    )


def test_what_is_given_is_kept() -> None:
    made = budget(max_total_tokens=1000, context_length=100, page_size=16)
    assert (made.num_pages, made.max_total_tokens, made.context_length) == (62, 992, 100)
    assert (made.max_running_requests, made.chunked_prefill_size) == (7, 33)
    assert made.max_sequence == 100
    assert budget(max_total_tokens=64).max_sequence == 64


def test_the_default_pool_is_a_quarter_of_what_is_left_and_four_gib_at_most() -> None:
    assert budget(weights=24 * MIB).max_total_tokens == 250 * MIB // 1024
    assert budget(free=64 << 30).max_total_tokens == (4 << 30) // 1024
    assert budget(free=0).num_pages == 2


def test_a_fraction_is_of_the_free_memory_with_the_weights() -> None:
    made = budget(weights=312 * MIB, mem_fraction_static=0.5)
    assert made.max_total_tokens == 200 * MIB // 1024


def test_every_number_has_a_reason() -> None:
    made = budget(max_total_tokens=2050, context_length=100)
    heading, *rows, concurrency = made.lines()
    assert heading.split() == ["setting", "asked", "became", "why"]
    assert [row.split()[0] for row in rows] == list(SETTINGS)
    pool = next(row for row in rows if row.startswith("max_total_tokens"))
    assert pool.split(maxsplit=3)[1:] == ["2050", "2048", "given, in whole pages of 16; 2 MiB of KV"]
    assert concurrency == "at most 7 requests run at once, limited by max_running_requests=7"
    info = made.info()
    assert set(info["settings"]) == set(SETTINGS)
    assert info["settings"]["context_length"] == {"asked": 100, "became": 100, "why": "given"}
    assert info["settings"]["max_running_requests"]["asked"] is None
    assert json.loads(json.dumps(info)) == info


def test_what_was_given_is_told_from_a_default() -> None:
    made = derive(
        MemoryConfig(), SchedulerConfig(), given={"max_running_requests"},
        model_context=512, bytes_per_token=1, free_bytes=MIB, weight_bytes=0,
    )  # fmt: skip
    asked = {setting.name: setting.asked for setting in made.settings}
    assert (asked["max_running_requests"], asked["chunked_prefill_size"]) == (128, None)


@pytest.mark.parametrize("dtype", list(KV_DTYPES))
def test_a_dtype_says_what_it_takes_and_what_it_loses(dtype: str) -> None:
    """The numbers of the default model: 30 layers, 3 heads of 64."""
    per_token = KVPool.bytes_per_token(30, 3, 64, KV_DTYPES[dtype])
    made = budget(per_token=per_token, kv_dtype=dtype, mem_fraction_static=0.5)
    assert made.max_total_tokens == 512 * MIB // per_token // 16 * 16
    setting = made.settings[-1]
    assert (setting.name, setting.asked, setting.became) == ("kv_dtype", None if dtype == "float32" else dtype, dtype)
    taken, _, lost = setting.why.partition("; measured: a token's log probability changes by ")
    assert taken == {
        "float32": "46080 bytes a token", "bfloat16": "23040 bytes a token", "float16": "23040 bytes a token",
        "int8": "12240 bytes a token",
    }[dtype]  # fmt: skip
    most = {"bfloat16": "0.15", "float16": "0.007", "int8": "0.44"}
    assert lost == (f"{most[dtype]} at most" if dtype in most else "")
    assert any(taken in line and lost in line for line in made.lines())


def test_limits_that_the_pool_cannot_reach_are_lowered_and_it_says_so() -> None:
    made = budget(max_total_tokens=32)
    assert (made.num_pages, made.max_running_requests, made.chunked_prefill_size) == (2, 2, 32)
    applied = made.applied(SchedulerConfig(policy="fcfs"))
    assert applied == SchedulerConfig(policy="fcfs", max_running_requests=2, chunked_prefill_size=32)
    whys = {setting.name: setting.why for setting in made.settings}
    assert whys["max_running_requests"] == "not 7: each needs a page of its own"
    assert whys["chunked_prefill_size"] == "not 33: the pool has no more slots"


def test_it_says_what_limits_concurrency() -> None:
    limited = "at most 2 requests of 512 tokens can run at once, limited by max_total_tokens=1024"
    assert budget(max_total_tokens=1024).concurrency().startswith(limited + "; of shorter ones 7, limited by max_")
    derived = budget(free=2 * MIB, mem_fraction_static=0.5)
    assert derived.concurrency().startswith(limited + " (from mem_fraction_static=0.5); of shorter")
    assert budget(max_total_tokens=512).concurrency().startswith("at most 1 request of 512 tokens can run at once")


def test_pages_are_smaller_where_that_keeps_what_was_asked() -> None:
    assert budget(max_total_tokens=20).page_size == 8
    assert budget(max_total_tokens=500, context_length=500).page_size == 4
    assert budget(max_total_tokens=500, context_length=490).page_size == 16


def test_the_default_pool_holds_the_context_that_was_asked() -> None:
    made = budget(free=MIB, context_length=500)
    assert (made.max_total_tokens, made.context_length) == (512, 500)
    assert "what context_length=500 needs" in made.settings[1].why


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"context_length": 513}, "context_length=513 exceeds the model's 512: give context_length=512"),
        ({"max_total_tokens": 31, "page_size": 16}, "max_total_tokens=31 .*page_size=16: give max_total_tokens=32"),
        ({"context_length": 300, "max_total_tokens": 200}, "context_length=300 .*max_total_tokens=200 .*tokens=304"),
        (
            {"max_total_tokens": 1 << 21},
            "max_total_tokens=2097152 needs 2048 MiB .* 1024 MiB are free: give .*1048576",
        ),
        (
            {"context_length": 512, "mem_fraction_static": 0.1, "free": MIB},
            r"mem_fraction_static=0.1 leaves room for 102 tokens .*context_length=512: give mem_fraction_static=0\.5",
        ),
        ({"context_length": 512, "free": MIB // 4}, "context_length=512 needs 0 MiB .*: give context_length=256"),
        (
            {"max_total_tokens": 1 << 20, "mem_fraction_static": 0.5},
            "max_total_tokens=1048576 needs 1024 MiB .*mem_fraction_static=0.5 allows 512 MiB.*max_total_tokens=524288",
        ),
        (
            {"mem_fraction_static": 0.1, "weights": 200 * MIB},
            "mem_fraction_static=0.1 of 1024 MiB .*200 MiB of weights: give mem_fraction_static=0.2",
        ),
    ],
)
def test_a_contradiction_is_refused_with_both_values_and_a_set_that_works(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        budget(**asked)
    assert budget(**asked | caught.value.remedy)


@settings(max_examples=400, deadline=None)
@given(
    memory=st.fixed_dictionaries(
        {},
        optional={
            "max_total_tokens": st.integers(1, 5000),
            "mem_fraction_static": st.floats(0.01, 0.99),
            "context_length": st.integers(2, 3000),
            "page_size": st.sampled_from([1, 3, 16, 64, 1000]),
            "kv_dtype": st.sampled_from(list(KV_DTYPES)),
        },
    ),
    limits=st.fixed_dictionaries(
        {}, optional={"max_running_requests": st.integers(1, 300), "chunked_prefill_size": st.integers(1, 9000)}
    ),
    context=st.integers(2, 2048),
    elements=st.integers(1, 1200),
    free=st.integers(0, 4 * MIB),
    weights=st.integers(0, MIB),
)
def test_any_subset_is_derived_or_refused_with_a_set_that_works(
    memory: dict[str, Any], limits: dict[str, int], context: int, elements: int, free: int, weights: int
) -> None:
    asked = SchedulerConfig(**limits)
    running, chunk = asked.max_running_requests, asked.chunked_prefill_size
    per_token = elements * KV_DTYPES[memory.get("kv_dtype", "float32")].itemsize
    numbers = {"model_context": context, "bytes_per_token": per_token, "free_bytes": free, "weight_bytes": weights}
    given = memory.keys() | limits.keys()
    refused: ConfigError | None = None
    try:
        made = derive(MemoryConfig(**memory), asked, given=given, **numbers)
    except ConfigError as error:
        refused = error
    if refused is not None:
        assert refused.remedy
        assert refused.remedy.keys() <= memory.keys()
        assert all(f"{name}={value}" in str(refused) for name, value in refused.remedy.items() if value is not None)
        memory = {**memory, **refused.remedy}
        made = derive(MemoryConfig(**memory), asked, given=given, **numbers)
    kept = {name: value for name, value in memory.items() if value is not None}
    total = made.max_total_tokens
    assert made.num_pages >= 2
    assert total == made.num_pages * made.page_size
    assert made.page_size == kept.get("page_size", made.page_size)
    assert 2 <= made.context_length == kept.get("context_length", context) <= context
    assert 0 <= kept.get("max_total_tokens", total) - total < made.page_size
    assert 1 <= made.max_running_requests <= min(running, made.num_pages)
    assert 1 <= made.chunked_prefill_size <= min(chunk, total)
    if "context_length" in kept:
        assert made.max_sequence == made.context_length
    room = kept.get("mem_fraction_static", 1.0) * free
    is_least = total == 2 * made.page_size and not kept.keys() & {"max_total_tokens", "mem_fraction_static"}
    assert total * per_token + weights <= room or is_least
    assert made.applied(asked).chunked_prefill_size == made.chunked_prefill_size
    table = json.loads(json.dumps(made.info(), allow_nan=False))
    became = {name: row["became"] for name, row in table["settings"].items()}
    assert {name: row["asked"] for name, row in table["settings"].items()} == {
        name: {**limits, **kept}.get(name) for name in SETTINGS
    }
    assert (became["max_total_tokens"], became["context_length"]) == (total, made.context_length)
    assert (became["max_running_requests"], became["page_size"]) == (made.max_running_requests, made.page_size)
    assert all(row["why"] for row in table["settings"].values())
    longest = total // made.max_sequence
    culprit = "max_running_requests=" if longest >= made.max_running_requests else "max_total_tokens="
    assert f"limited by {culprit}{became[culprit[:-1]]}" in table["concurrency"]
