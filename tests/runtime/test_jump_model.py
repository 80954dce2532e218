"""Jump-forward on the real default model: valid objects, fewer sampled tokens, the same probabilities."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from runtime.engine import Engine

pytestmark = pytest.mark.model

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 20},
        "city": {"enum": ["Paris", "London", "Rome"]},
        "active": {"type": "boolean"},
    },
    "required": ["name", "city", "active"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine("smollm2", max_total_tokens=4096, audit="step") as made:
        yield made


def test_objects_are_valid_and_many_tokens_are_free(engine: Engine) -> None:
    prompts = [f"Write a JSON record for person {i}: " for i in range(4)]
    params = {"temperature": 0, "max_new_tokens": 80, "json_schema": SCHEMA}
    before = engine.stats()
    answers = engine.generate(prompts, params)
    after = engine.stats()
    for answer in answers:
        assert answer["meta_info"]["finish_reason"] == {"type": "stop"}
        assert set(json.loads(answer["text"])) == {"name", "city", "active"}
        assert answer["meta_info"]["forced_tokens"] >= 10
    sampled = after["generated_tokens"] - before["generated_tokens"]
    forced = after["forced_tokens"] - before["forced_tokens"]
    assert sampled + forced == sum(answer["meta_info"]["completion_tokens"] for answer in answers)
    assert forced > sampled / 2


def test_tokens_do_not_depend_on_how_they_were_run(engine: Engine) -> None:
    """The model's choices given the same tokens are the same, whether those before were forced or sampled."""
    prompt = "A record: "
    params = {"temperature": 0, "max_new_tokens": 80, "json_schema": SCHEMA}
    answer = engine.generate(prompt, params, return_logprob=True)
    ids, scored = answer["output_ids"], answer["meta_info"]["output_token_logprobs"]
    tokens = engine.tokenizer.encode(prompt) + ids
    engine.flush_cache()
    plain = engine.generate(
        input_ids=tokens, sampling_params={"max_new_tokens": 0}, return_logprob=True, logprob_start_len=1
    )
    whole = plain["meta_info"]["input_token_logprobs"][-len(ids) :]
    assert [token for _, token, _ in scored] == [token for _, token, _ in whole] == ids
    assert [value for value, _, _ in scored] == pytest.approx([value for value, _, _ in whole], abs=1e-4)
