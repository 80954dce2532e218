"""The engine on a tiny model: the same tokens however they are computed, and answers of the promised shape."""

from __future__ import annotations

import asyncio
import gc
import json
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch

from grammars import Regex
from grammars.spec import Sequence, SpecialToken
from runtime.engine import Engine
from runtime.errors import (
    ConfigError,
    ContextLengthExceeded,
    EngineClosed,
    InvalidParameter,
    PoolCapacityExceeded,
    RequestError,
)
from runtime.sampling.params import SamplingParams

GREEDY = {"temperature": 0, "max_new_tokens": 12, "ignore_eos": True}
PROMPTS = [
    "the theatre there, then the thin thing",
    "the theatre there, then the other",
    "12 + 30 = ",
    "été à l'école 😀",
    "x",
    "the answer is yes or no, true or false; " * 5,
]
MakeEngine = Callable[..., Engine]
Oracle = Callable[[list[int]], torch.Tensor]


def ids(answers: list[dict[str, Any]]) -> list[list[int]]:
    return [answer["output_ids"] for answer in answers]


@pytest.fixture(scope="module")
def oracle_ids(tiny_tokenizer: Any, full_logprobs: Oracle) -> list[list[int]]:
    """Greedy tokens by plain full forwards."""
    outputs = []
    for prompt in PROMPTS:
        tokens = tiny_tokenizer.encode(prompt)
        count = len(tokens)
        for _ in range(12):
            tokens.append(int(full_logprobs(tokens)[-1].argmax()))
        outputs.append(tokens[count:])
    return outputs


@pytest.mark.parametrize(
    "settings",
    [
        {"page_size": 1},
        {"page_size": 16},
        {"page_size": 4, "chunked_prefill_size": 8},
        {"page_size": 16, "chunked_prefill_size": 1},
        {"attention": "cpu"},
        {"page_size": 1, "attention": "cpu", "chunked_prefill_size": 8},
        {"max_running_requests": 2, "policy": "fcfs"},
        {"max_total_tokens": 96, "page_size": 4},
    ],
    ids=str,
)
def test_greedy_tokens_are_the_oracles_cold_warm_alone_and_batched(
    make_engine: MakeEngine,
    oracle_ids: list[list[int]],
    assert_nothing_held: Callable[[Engine], None],
    settings: dict[str, Any],
) -> None:
    engine = make_engine(**settings)
    cold = engine.generate(PROMPTS, GREEDY)
    warm = engine.generate(PROMPTS, GREEDY)
    alone = [engine.generate(prompt, GREEDY) for prompt in PROMPTS]
    engine.flush_cache()
    alone_cold = [engine.generate(PROMPTS[0], GREEDY)]
    assert ids(cold) == oracle_ids
    assert ids(warm) == oracle_ids
    assert ids(alone) == oracle_ids
    assert ids(alone_cold) == oracle_ids[:1]
    assert_nothing_held(engine)


def test_retraction_changes_no_token(make_engine: MakeEngine, oracle_ids: list[list[int]]) -> None:
    engine = make_engine(max_total_tokens=84, page_size=4)
    for _ in range(3):
        assert ids(engine.generate(PROMPTS[:5] * 4, GREEDY)) == oracle_ids[:5] * 4
    assert engine.stats()["retractions"] > 0


def test_an_answer_has_the_promised_shape(engine: Engine, tiny_tokenizer: Any) -> None:
    answer = engine.generate(PROMPTS[0], GREEDY)
    meta = answer["meta_info"]
    assert set(answer) == {"text", "output_ids", "meta_info"}
    assert meta["finish_reason"] == {"type": "length"}
    assert meta["prompt_tokens"] == len(tiny_tokenizer.encode(PROMPTS[0]))
    assert meta["completion_tokens"] == 12
    assert meta["cached_tokens"] == 0
    assert 0 <= meta["queue_time"] <= meta["time_to_first_token"] <= meta["e2e_latency"]
    raw = b"".join(tiny_tokenizer.token_bytes[token] or b"" for token in answer["output_ids"])
    assert raw.decode("utf-8", "replace").startswith(answer["text"])
    listed = engine.generate([PROMPTS[0]], GREEDY)
    assert [listed[0]["output_ids"]] == [answer["output_ids"]]
    by_ids = engine.generate(input_ids=tiny_tokenizer.encode(PROMPTS[0]), sampling_params=GREEDY)
    assert by_ids["output_ids"] == answer["output_ids"]
    rows = engine.generate(input_ids=[tiny_tokenizer.encode(p) for p in PROMPTS[:2]], sampling_params=GREEDY)
    assert rows[0]["output_ids"] == answer["output_ids"]
    assert engine.generate([], GREEDY) == []


def test_parameters_may_differ_by_prompt(engine: Engine) -> None:
    answers = engine.generate(PROMPTS[:2], [{**GREEDY, "max_new_tokens": 3}, {**GREEDY, "max_new_tokens": 5}])
    assert [len(a["output_ids"]) for a in answers] == [3, 5]
    with pytest.raises(InvalidParameter, match="sampling_params"):
        engine.generate(PROMPTS[:2], [GREEDY])


def test_a_seed_gives_the_same_text_whatever_the_batch(engine: Engine) -> None:
    drawn = {"temperature": 1.5, "max_new_tokens": 10, "seed": 11, "ignore_eos": True}
    alone = engine.generate(PROMPTS[0], drawn)
    crowd = engine.generate(PROMPTS, [drawn, *[{"temperature": 1.0, "max_new_tokens": 7}] * (len(PROMPTS) - 1)])
    other = engine.generate(PROMPTS[0], {**drawn, "seed": 12})
    assert crowd[0]["output_ids"] == alone["output_ids"]
    assert other["output_ids"] != alone["output_ids"]


def test_n_samples_differ_are_reproducible_and_share_the_prompt(engine: Engine) -> None:
    drawn = {"temperature": 2.0, "max_new_tokens": 8, "seed": 5, "n": 4, "ignore_eos": True}
    prompt_len = len(engine.tokenizer.encode(PROMPTS[5]))
    first = engine.generate(PROMPTS[5], drawn)
    # The prompt once, and its last token once for each sample.
    assert engine.stats()["computed_tokens"] <= prompt_len + 4
    second = engine.generate([PROMPTS[5]], drawn)
    assert len(first) == 4
    assert len({tuple(a["output_ids"]) for a in first}) == 4
    assert ids(first) == ids(second)
    with pytest.raises(InvalidParameter, match="stream"):
        engine.generate(PROMPTS[0], drawn, stream=True)


def test_an_end_token_ends_the_text_and_is_no_part_of_it(engine: Engine, tiny_tokenizer: Any) -> None:
    free = engine.generate(PROMPTS[0], GREEDY, return_logprob=True)
    third = free["output_ids"][2]
    place = free["output_ids"].index(third)
    answer = engine.generate(PROMPTS[0], {**GREEDY, "stop_token_ids": [third]}, return_logprob=True)
    assert answer["output_ids"] == free["output_ids"][:place]
    assert answer["meta_info"]["finish_reason"] == {"type": "stop", "matched": third}
    assert answer["meta_info"]["completion_tokens"] == place + 1
    assert len(answer["meta_info"]["output_token_logprobs"]) == place


def test_special_tokens_stand_in_the_text_where_they_are_not_skipped(engine: Engine) -> None:
    params = {"constraint": Sequence((Regex("[ab]"), SpecialToken("<s>"), "c")), "temperature": 0}
    hidden = engine.generate("the", params)
    shown = engine.generate("the", {**params, "skip_special_tokens": False})
    assert shown["output_ids"] == hidden["output_ids"]
    assert shown["text"] == hidden["text"][:1] + "<s>c"
    assert hidden["text"][1:] == "c"
    stopped = engine.generate("the", {**params, "skip_special_tokens": False, "stop": "s>"})
    assert stopped["text"] == shown["text"][:2]
    assert engine.generate("the", {"logit_bias": {2: 1e9}, "skip_special_tokens": False})["text"] == ""


def test_min_new_tokens_holds_the_end_back(engine: Engine) -> None:
    biased = {"temperature": 0, "max_new_tokens": 9, "logit_bias": {2: 1e6}}
    assert engine.generate("x", biased)["output_ids"] == []
    held = engine.generate("x", {**biased, "min_new_tokens": 4})
    assert len(held["output_ids"]) == 4
    assert held["meta_info"]["finish_reason"] == {"type": "stop", "matched": 2}


def test_max_new_tokens_zero_only_computes_the_prompt(engine: Engine) -> None:
    answer = engine.generate(PROMPTS[0], {"max_new_tokens": 0})
    assert (answer["text"], answer["output_ids"]) == ("", [])
    assert answer["meta_info"]["finish_reason"] == {"type": "length"}
    assert engine.stats()["generated_tokens"] == 0
    assert engine.stats()["computed_tokens"] == len(engine.tokenizer.encode(PROMPTS[0]))


def test_max_new_tokens_none_goes_to_the_end_of_the_context(make_engine: MakeEngine) -> None:
    engine = make_engine(context_length=40)
    prompt_len = len(engine.tokenizer.encode(PROMPTS[2]))
    answer = engine.generate(PROMPTS[2], {**GREEDY, "max_new_tokens": None})
    assert len(answer["output_ids"]) == 40 - prompt_len
    more = engine.generate(PROMPTS[2], {**GREEDY, "max_new_tokens": 1000})
    assert more["output_ids"] == answer["output_ids"]
    assert more["meta_info"]["finish_reason"] == {"type": "length"}


def test_constraints_shape_the_text(engine: Engine) -> None:
    drawn = {"temperature": 1.0, "max_new_tokens": 60, "seed": 1}
    date, choice, number = engine.generate(
        PROMPTS[:3],
        [
            {**drawn, "regex": r"\d{4}-\d{2}-\d{2}"},
            {**drawn, "choice": ["yes, there", "no", "thé"]},
            {**drawn, "json_schema": {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}},
        ],
    )
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", date["text"])
    assert choice["text"] in ("yes, there", "no", "thé")
    assert isinstance(json.loads(number["text"])["a"], bool)
    assert date["meta_info"]["finish_reason"]["type"] == "stop"


def test_a_constraint_ends_also_where_ends_are_ignored(engine: Engine) -> None:
    answer = engine.generate("x", {"regex": "ab?", "ignore_eos": True, "max_new_tokens": 50})
    assert answer["text"] in ("a", "ab")


def test_streamed_answers_grow_to_the_whole(engine: Engine) -> None:
    for params in (
        GREEDY,
        {**GREEDY, "regex": "été 😀 à l'école, 12"},
        {**GREEDY, "regex": "abcabcabd", "stop": "abd"},
    ):
        whole = engine.generate(PROMPTS[3], params)
        parts = list(engine.generate(PROMPTS[3], params, stream=True))
        texts = [part["text"] for part in parts]
        assert all(later.startswith(text) for text, later in pairwise(texts))
        assert "�" not in "".join(texts[:-1]) or "�" in whole["text"]
        assert texts[-1] == whole["text"]
        assert parts[-1]["output_ids"] == whole["output_ids"]
        assert parts[-1]["meta_info"]["finish_reason"] is not None


def test_leaving_a_stream_early_cancels(engine: Engine, assert_nothing_held: Callable[[Engine], None]) -> None:
    stream = engine.generate(PROMPTS[0], {**GREEDY, "max_new_tokens": 450}, stream=True)
    next(stream)
    stream.close()
    assert_nothing_held(engine)
    assert engine.stats()["generated_tokens"] < 440


async def test_async_generate(engine: Engine, oracle_ids: list[list[int]]) -> None:
    answers = await asyncio.gather(*(engine.async_generate(p, GREEDY) for p in PROMPTS))
    assert ids(answers) == oracle_ids
    listed = await engine.async_generate(PROMPTS, GREEDY)
    assert ids(listed) == oracle_ids
    parts = [part async for part in await engine.async_generate(PROMPTS[0], GREEDY, stream=True)]
    assert parts[-1]["output_ids"] == oracle_ids[0]


async def test_cancelling_a_task_cancels_its_generation(
    engine: Engine, assert_nothing_held: Callable[[Engine], None]
) -> None:
    task = asyncio.create_task(engine.async_generate(PROMPTS[0], {**GREEDY, "max_new_tokens": 450}))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert_nothing_held(engine)
    assert engine.stats()["generated_tokens"] < 440


def test_every_prompt_token_is_cached_or_computed(make_engine: MakeEngine) -> None:
    for settings in ({"page_size": 1}, {"page_size": 16}, {"chunked_prefill_size": 8}):
        engine = make_engine(**settings)
        engine.generate(PROMPTS * 2, GREEDY)
        engine.generate(PROMPTS, {**GREEDY, "n": 2})
        stats = engine.stats()
        assert stats["retractions"] == 0
        assert stats["prompt_tokens"] == stats["cached_tokens"] + stats["computed_tokens"]
        assert stats["cached_tokens"] > 0
        assert stats["generated_tokens"] == 12 * len(PROMPTS) * 4


@pytest.mark.parametrize("settings", [{"page_size": 16}, {"page_size": 1, "chunked_prefill_size": 33}], ids=str)
def test_a_prefix_of_requests_that_come_at_once_is_computed_once(
    make_engine: MakeEngine, settings: dict[str, Any]
) -> None:
    engine = make_engine(max_total_tokens=8192, max_running_requests=64, **settings)
    prefix = [3 + i for i in range(100)]
    prompts = [[*prefix, 200 + i, 201, 202] for i in range(64)]
    engine.generate(input_ids=prompts, sampling_params={**GREEDY, "max_new_tokens": 2})
    stats = engine.stats()
    shared = 100 - 100 % settings["page_size"]
    assert stats["prompt_tokens"] == 64 * 103
    assert stats["computed_tokens"] == shared + 64 * (103 - shared)


def test_flush_cache_forgets_everything_idle(engine: Engine) -> None:
    engine.generate(PROMPTS[5], GREEDY)
    assert engine.generate(PROMPTS[5], GREEDY)["meta_info"]["cached_tokens"] > 0
    assert engine.flush_cache() > 0
    assert engine.stats()["ledger"]["free"] == engine.stats()["ledger"]["total"]
    assert engine.generate(PROMPTS[5], GREEDY)["meta_info"]["cached_tokens"] == 0


def test_describe_says_what_runs(engine: Engine) -> None:
    described = engine.describe()
    assert described["model"] == "tiny"
    assert described["attention"] == "torch"
    assert described["max_total_tokens"].startswith("4096")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({}, "prompt"),
        ({"prompt": "x", "input_ids": [1]}, "prompt"),
        ({"prompt": 5}, "prompt"),
        ({"prompt": ["x", 5]}, "prompt"),
        ({"input_ids": "x"}, "input_ids"),
        ({"input_ids": [None]}, "input_ids"),
        ({"input_ids": [1, -1]}, "input_ids"),
        ({"input_ids": [384]}, "input_ids"),
        ({"input_ids": [True]}, "input_ids"),
        ({"prompt": "x", "sampling_params": {"temperature": float("nan")}}, "temperature"),
        ({"prompt": "x", "sampling_params": {"max_new_tokens": -1}}, "max_new_tokens"),
        ({"prompt": "x", "sampling_params": {"no_such_thing": 1}}, "no_such_thing"),
        ({"prompt": "x", "sampling_params": {"regex": "a", "choice": ["b"]}}, "choice"),
        ({"prompt": "x", "return_logprob": True, "top_logprobs_num": -1}, "top_logprobs"),
        ({"prompt": "x", "return_logprob": True, "logprob_start_len": 5}, "logprob_start_len"),
    ],
)
def test_bad_input_is_named_and_harms_nobody(
    engine: Engine, assert_nothing_held: Callable[[Engine], None], arguments: dict[str, Any], named: str
) -> None:
    with pytest.raises(InvalidParameter, match=re.escape(named)) as caught:
        engine.generate(**arguments)
    assert "\n" not in str(caught.value)
    assert len(engine.generate("x", GREEDY)["output_ids"]) == 12
    del caught
    gc.collect()
    assert_nothing_held(engine)


@pytest.mark.parametrize("namespace", ["\ud800", 5, None, b"x"])
def test_a_namespace_is_text(engine: Engine, namespace: Any) -> None:
    with pytest.raises(InvalidParameter, match=r"namespace=.* is not allowed: text"):
        engine.open(namespace=namespace)
    with engine.open(namespace="für dich 😀") as session:
        session.append("x")
        assert len(session.generate(SamplingParams(max_new_tokens=2, ignore_eos=True)).result(20).token_ids) == 2


def test_a_prompt_beyond_context_or_pool_is_refused_with_the_numbers(
    make_engine: MakeEngine, assert_nothing_held: Callable[[Engine], None]
) -> None:
    engine = make_engine(context_length=20)
    with pytest.raises(ContextLengthExceeded, match=r"20 tokens.*context_length=20"):
        engine.generate(input_ids=[5] * 20)
    assert len(engine.generate(input_ids=[5] * 19, sampling_params=GREEDY)["output_ids"]) == 1
    assert engine.generate(input_ids=[5] * 20, sampling_params={"max_new_tokens": 0})["output_ids"] == []
    small = make_engine(max_total_tokens=32)
    with pytest.raises(PoolCapacityExceeded, match=r"33 tokens.*max_total_tokens=32"):
        small.generate(input_ids=[5] * 33)
    assert len(small.generate(input_ids=[5] * 31, sampling_params=GREEDY)["output_ids"]) == 1
    for used in (engine, small):
        assert_nothing_held(used)


def test_an_impossible_setting_is_refused(make_engine: MakeEngine) -> None:
    with pytest.raises(ConfigError, match="page_sise"):
        Engine("smollm2", page_sise=3)
    with pytest.raises(ConfigError, match=r"context_length=1000.*512"):
        make_engine(context_length=1000)


def test_after_shutdown_everything_raises_engine_closed(make_engine: MakeEngine) -> None:
    with make_engine() as engine:
        session = engine.open()
        session.append("x")
    engine.shutdown()
    for call in (engine.open, lambda: engine.generate("x"), engine.flush_cache):
        with pytest.raises(EngineClosed):
            call()
    with pytest.raises(EngineClosed):
        session.generate(SamplingParams()).result(timeout=5)
    assert not engine._thread.is_alive()


def test_errors_of_requests_are_value_errors() -> None:
    assert issubclass(RequestError, ValueError)


def test_a_fork_of_what_is_computed_runs_nothing(engine: Engine) -> None:
    with engine.open() as session:
        session.append([10] * 40)
        session.generate(SamplingParams(max_new_tokens=0)).result(timeout=20)
        before = engine.stats()
        children = session.fork(3)
        assert [child.mark().result(timeout=20) for child in children] == [40] * 3
        after = engine.stats()
        for child in children:
            child.close()
    assert (after["steps"], after["computed_tokens"]) == (before["steps"], before["computed_tokens"])
