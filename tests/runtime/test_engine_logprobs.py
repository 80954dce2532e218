"""Log probabilities an engine gives, against a plain full forward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from runtime.engine import Engine

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


def test_output_logprobs_are_those_of_a_full_forward(engine: Engine, full_logprobs: Oracle) -> None:
    answer = engine.generate(PROMPTS[0], GREEDY, return_logprob=True, top_logprobs_num=3)
    prompt = engine.tokenizer.encode(PROMPTS[0])
    table = full_logprobs(prompt + answer["output_ids"])
    entries = answer["meta_info"]["output_token_logprobs"]
    assert [token for _, token, _ in entries] == answer["output_ids"]
    for place, (logprob, token, _) in enumerate(entries):
        row = table[len(prompt) - 1 + place]
        assert logprob == pytest.approx(float(row[token]), abs=1e-4)
        top = answer["meta_info"]["output_top_logprobs"][place]
        assert [lp for lp, _, _ in top] == pytest.approx(row.topk(3).values.tolist(), abs=1e-4)


@pytest.mark.parametrize(
    "settings", [{}, {"chunked_prefill_size": 1}, {"chunked_prefill_size": 7, "page_size": 1}], ids=str
)
@pytest.mark.parametrize("start", [0, 1, 9])
def test_prompt_logprobs_are_those_of_a_full_forward_cold_and_warm(
    make_engine: MakeEngine, full_logprobs: Oracle, settings: dict[str, Any], start: int
) -> None:
    engine = make_engine(**settings)
    prompt = engine.tokenizer.encode(PROMPTS[0] + PROMPTS[1])
    table = full_logprobs(prompt)
    begin = max(start, 1)  # nothing speaks of the first token
    wanted = [float(table[i - 1][prompt[i]]) for i in range(begin, len(prompt))]
    for max_new in (0, 2, 2):
        answer = engine.generate(
            input_ids=prompt,
            sampling_params={**GREEDY, "max_new_tokens": max_new},
            return_logprob=True,
            logprob_start_len=start,
        )
        entries = answer["meta_info"]["input_token_logprobs"]
        assert [token for _, token, _ in entries] == prompt[begin:]
        assert [logprob for logprob, _, _ in entries] == pytest.approx(wanted, abs=1e-4)


def test_prompt_logprobs_come_once_whatever_is_retracted(make_engine: MakeEngine) -> None:
    engine = make_engine(max_total_tokens=84, page_size=4, chunked_prefill_size=8)
    prompts = [engine.tokenizer.encode(p) for p in PROMPTS[:5]] * 5
    params = {**GREEDY, "max_new_tokens": 25}
    answers = engine.generate(input_ids=prompts, sampling_params=params, return_logprob=True, logprob_start_len=0)
    assert engine.stats()["retractions"] > 0
    for prompt, answer in zip(prompts, answers, strict=True):
        assert [token for _, token, _ in answer["meta_info"]["input_token_logprobs"]] == prompt[1:]
