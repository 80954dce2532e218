"""The whole engine on the real default model, in float32, against `transformers` on the same weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from runtime.engine import Engine
from runtime.model.hub import resolve
from runtime.sampling.params import SamplingParams

pytestmark = pytest.mark.model

SUBJECTS = ["the sea", "a clock", "Paris", "iron", "a wolf", "bread", "the moon", "a violin", "rain", "the number 7"]
FRAMES = [
    "Tell me about {}.",
    "The most surprising fact about {} is",
    "Q: What is {}?\nA:",
    "def describe():\n    # {}\n    return",
    "{} — une définition :",
]
PROMPTS = [frame.format(subject) for subject in SUBJECTS for frame in FRAMES]
NEAR_TIE = 1e-4


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine("smollm2", max_total_tokens=8192, audit="step", max_running_requests=64) as made:
        yield made


def greedy(count: int) -> dict[str, Any]:
    return {"temperature": 0, "max_new_tokens": count, "ignore_eos": True}


def outputs(answers: list[dict[str, Any]]) -> list[list[int]]:
    return [answer["output_ids"] for answer in answers]


def test_greedy_text_is_that_of_transformers() -> None:
    transformers = pytest.importorskip("transformers")
    files = resolve("smollm2")
    reference = transformers.AutoModelForCausalLM.from_pretrained(
        files.path.parent, gguf_file=files.path.name, dtype=torch.float32
    ).eval()
    with Engine("smollm2", weight_format="blocks", max_total_tokens=8192) as engine:
        ours = outputs(engine.generate(PROMPTS, greedy(16)))
        prompts = [engine.tokenizer.encode(prompt) for prompt in PROMPTS]
    # Teacher forcing: one forward over prompt and output tells at every place what the reference would have said.
    longest = max(map(len, prompts)) + 16
    ids = torch.zeros(len(prompts), longest, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for row, (prompt, output) in enumerate(zip(prompts, ours, strict=True)):
        ids[row, : len(prompt) + 16] = torch.tensor(prompt + output)
        mask[row, : len(prompt) + 16] = 1
    for start in range(0, len(prompts), 10):
        part = slice(start, start + 10)
        with torch.inference_mode():
            logits = reference(input_ids=ids[part], attention_mask=mask[part]).logits
        for row, prompt, output in zip(logits, prompts[part], ours[part], strict=True):
            said = row[len(prompt) - 1 : len(prompt) + 15]
            chosen = said.gather(1, torch.tensor(output)[:, None]).squeeze(1)
            assert bool((said.max(dim=1).values - chosen <= NEAR_TIE).all())


def test_two_hundred_prompts_four_ways(engine: Engine) -> None:
    """Cold and warm, alone and batched: the same tokens. Every prompt fills a page that warm ones find cached."""
    beginnings = [f"Note {i} of the many that she wrote by the sea in summer that year. About" for i in range(20)]
    prompts = [f"{beginning} {subject}" for beginning in beginnings for subject in SUBJECTS]
    assert len(prompts) == 200
    engine.flush_cache()
    cold = outputs(engine.generate(prompts, greedy(5)))
    warm = engine.generate(prompts, greedy(5))
    assert all(answer["meta_info"]["cached_tokens"] >= 16 for answer in warm)
    assert outputs(warm) == cold
    for prompt, expected in zip(prompts, cold, strict=True):
        engine.flush_cache()
        alone = [engine.generate(prompt, greedy(5)) for _ in ("cold", "warm")]
        assert [answer["meta_info"]["cached_tokens"] >= 16 for answer in alone] == [False, True]
        assert outputs(alone) == [expected, expected]


def test_a_fork_of_thirty_two_computes_its_prefix_once(engine: Engine) -> None:
    engine.flush_cache()
    before = engine.stats()["computed_tokens"]
    prefix = (engine.tokenizer.encode("A long story about the sea and the moon. ") * 200)[:1000]
    session = engine.open()
    session.append(prefix)
    children = session.fork(32)
    session.close()
    own = [engine.tokenizer.encode(f" Chapter {i}: the") for i in range(32)]
    for child, tokens in zip(children, own, strict=True):
        child.append(tokens)
    params = SamplingParams(temperature=0, max_new_tokens=2, ignore_eos=True)
    handles = [child.generate(params) for child in children]
    for child in children:
        child.close()
    for handle, tokens in zip(handles, own, strict=True):
        result = handle.result(timeout=120)
        assert (result.prompt_tokens, result.cached_tokens) == (1000 + len(tokens), 1000)
    assert engine.stats()["computed_tokens"] - before == 1000 + sum(map(len, own))


def test_text_is_what_the_tokens_say(engine: Engine) -> None:
    answer = engine.generate("The capital of France is", greedy(8))
    assert "Paris" in answer["text"]
    assert engine.tokenizer.decode(answer["output_ids"]) == answer["text"]
