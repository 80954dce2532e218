"""Engines whose keys and values are kept in fewer bits."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from runtime.attention.base import KV_DTYPES
from runtime.engine import Engine
from runtime.sampling.params import SamplingParams

GREEDY = {"max_new_tokens": 8, "temperature": 0, "ignore_eos": True}
PROMPTS = [[5 + i, *range(40, 60 + 7 * i)] for i in range(4)]


@pytest.mark.parametrize("attention", ["torch", "cpu"])
@pytest.mark.parametrize("name", list(KV_DTYPES))
def test_the_same_tokens_cold_warm_batched_and_forked(
    make_engine: Callable[..., Engine], name: str, attention: str
) -> None:
    engine = make_engine(kv_dtype=name, attention=attention)
    batched = [answer["output_ids"] for answer in engine.generate(input_ids=PROMPTS, sampling_params=GREEDY)]
    warm = engine.generate(input_ids=PROMPTS[3], sampling_params=GREEDY)
    assert warm["meta_info"]["cached_tokens"] > 0
    assert warm["output_ids"] == batched[3]
    engine.flush_cache()
    assert engine.generate(input_ids=PROMPTS[3], sampling_params=GREEDY)["output_ids"] == batched[3]
    with engine.open() as session:
        session.append(PROMPTS[2])
        session.generate(SamplingParams(max_new_tokens=0)).result(timeout=20)
        with session.fork(1)[0] as child:
            params = SamplingParams(max_new_tokens=8, temperature=0, ignore_eos=True)
            assert list(child.generate(params).result(timeout=20).token_ids) == batched[2]
    info = json.loads(json.dumps(engine.server_info(), allow_nan=False))
    setting = info["settings"]["kv_dtype"]
    assert (setting["asked"], setting["became"]) == (name, name)
    assert ("changes by 0.44 at most" in engine.describe()["kv_dtype"]) == (name == "int8")
